//! Bytes to lengths and floats.
//!
//! A row comes from a few bytes: a pattern that fills it, whatever its length, and some elements that
//! are then set one by one. So libFuzzer's short inputs reach long rows, and changing a byte changes
//! something small. Beyond the end of the bytes everything is 0.

use xent_core::LogSumExp;

/// The rest of an input.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of an input.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Bytes(data)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        for byte in &mut taken {
            if let Some((&first, rest)) = self.0.split_first() {
                (*byte, self.0) = (first, rest);
            }
        }
        taken
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    /// Whether the next byte is odd.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Whether the next byte is one of four in 256, and not 0: for mistakes, which are to be rare.
    pub fn rarely(&mut self) -> bool {
        self.byte() >= 252
    }

    /// A number below `n`, which is not 0, from two bytes.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(u16::from_le_bytes(self.take())) % n
    }

    /// Any bits, from four bytes.
    pub fn bits(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// The length of a row: every length around the lanes, and those around the ends of blocks and,
    /// where `long` allows it, chunks.
    pub fn row_len(&mut self, long: bool) -> usize {
        let kind = self.byte();
        match kind {
            0..160 => self.below(68),
            160..220 => self.below(300),
            220..246 => 1020 + self.below(10),
            246..=254 => self.below(2200),
            // The longest are slow, and rare.
            _ if long && self.byte() >= 192 => LogSumExp::CHUNK - 2 + self.below(5),
            _ => self.below(68),
        }
    }

    /// A float: a special one, a small integer, or any bits.
    pub fn float(&mut self) -> f32 {
        const SPECIAL: [f32; 16] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            // Any NaN must become the canonical one.
            f32::from_bits(0xFF80_0001),
            // Around the end of exp's range in f32.
            -87.336_55,
            -103.972_08,
            88.722_84,
            -126.0,
        ];
        let kind = self.byte();
        match kind {
            0..64 => SPECIAL[usize::from(kind) % SPECIAL.len()],
            64..128 => f32::from(self.byte()) - 128.0,
            128..192 => (f32::from(self.byte()) - 128.0) / 16.0 + self.unit() / 1024.0,
            _ => f32::from_bits(self.bits()),
        }
    }

    /// A float in [0, 1), from three bytes.
    pub fn unit(&mut self) -> f32 {
        let [a, b, c] = self.take();
        unit_of(u32::from_le_bytes([a, b, c, 0]) << 8)
    }

    /// `n` logits.
    pub fn logits(&mut self, n: usize) -> Vec<f32> {
        const RANGES: [f32; 8] = [0.0, 1e-3, 1.0, 10.0, 100.0, 1e4, 1e30, f32::MAX];
        let range = RANGES[usize::from(self.byte()) % RANGES.len()];
        let offset = if self.flag() { self.float() } else { 0.0 };
        let step = if self.flag() { self.unit() - 0.5 } else { 0.0 };
        let mut random = Random(self.bits());
        let mut row: Vec<f32> = (0..n)
            .map(|i| offset + range * (2.0 * unit_of(random.next()) - 1.0) + step * i as f32)
            .collect();
        self.set_some(&mut row);
        row
    }

    /// `n` probabilities, or what is given for one: not negative unless set one by one.
    pub fn probs(&mut self, n: usize) -> Vec<f32> {
        const RANGES: [f32; 8] = [0.0, 1e-30, 1e-7, 1e-3, 1.0, 2.0, 1e10, 1e38];
        let range = RANGES[usize::from(self.byte()) % RANGES.len()];
        let offset = if self.flag() { self.unit() } else { 0.0 };
        let mut random = Random(self.bits());
        let mut row: Vec<f32> = (0..n).map(|_| offset + range * unit_of(random.next())).collect();
        self.set_some(&mut row);
        if self.flag() {
            for p in &mut row {
                *p = p.abs();
            }
        }
        row
    }

    /// `n` targets: mostly distributions or indicators, now and then anything.
    pub fn targets(&mut self, n: usize) -> Vec<f32> {
        let mut random = Random(self.bits());
        let mut row: Vec<f32> = match self.byte() % 4 {
            0 => (0..n).map(|_| f32::from(u8::from(random.next() >> 31 == 0))).collect(),
            1 => vec![0.0; n],
            2 => (0..n).map(|_| unit_of(random.next()) / n as f32).collect(),
            _ => (0..n).map(|_| unit_of(random.next())).collect(),
        };
        if self.flag() {
            self.set_some(&mut row);
        }
        row
    }

    /// Sets up to 15 elements; often the last ones, which are a tail's.
    fn set_some(&mut self, row: &mut [f32]) {
        if row.is_empty() {
            return;
        }
        for _ in 0..self.byte() % 16 {
            let i = self.below(row.len());
            let i = if self.flag() { row.len() - 1 - i % 20_usize.min(row.len()) } else { i };
            row[i] = self.float();
        }
    }
}

/// A float in [0, 1) from the upper 24 bits.
fn unit_of(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16_777_216.0
}

/// A mixer of a counter.
///
/// Source: C. Wellons, Prospecting for Hash Functions (2018), lowbias32.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9);
        let mut x = self.0;
        x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
        x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
        x ^ (x >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_zeros() {
        let mut bytes = Bytes::new(&[]);
        assert_eq!(
            (bytes.byte(), bytes.bits(), bytes.float(), bytes.row_len(true)),
            (0, 0, 0.0, 0)
        );
        assert!(!bytes.rarely());
    }

    #[test]
    fn bytes_are_taken_in_order() {
        let mut bytes = Bytes::new(&[7, 1, 0, 0, 0, 5]);
        assert_eq!((bytes.byte(), bytes.bits(), bytes.byte(), bytes.byte()), (7, 1, 5, 0));
    }

    #[test]
    fn a_pattern_fills_a_row_of_any_length_from_few_bytes() {
        let mut bytes = Bytes::new(&[3, 0, 0, 1, 2, 3, 4]);
        let row = bytes.logits(5000);
        assert!(row.iter().all(|x| x.abs() <= 10.0));
        assert!(row.iter().any(|&x| x > 9.0) && row.iter().any(|&x| x < -9.0));
    }
}
