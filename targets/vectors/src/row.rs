//! Rows of logits, probabilities and targets, made from integers: the same on every CPU.

/// Numbers from a seed: Marsaglia's xorshift of 32 bits.
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9) | 1);
        // The first numbers of neighbouring seeds are alike.
        for _ in 0..4 {
            random.bits();
        }
        random
    }

    fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// In [0, 1): 24 bits, exact.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / 16_777_216.0
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.bits() % n
    }
}

/// What a row of logits is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Within 1 of 0.
    Narrow,
    /// Within 10 of 0.
    Wide,
    /// Within 100 of 0.
    VeryWide,
    /// All the same.
    Tied,
    /// One logit 17 above all others: a small loss.
    Confident,
    /// One logit 103.5 above all others, whose exponentials are subnormal.
    VeryConfident,
    /// Subnormal logits, and probabilities.
    Subnormal,
    /// Around 10,000.
    Offset,
    /// The largest and the smallest finite numbers.
    Extreme,
    /// Every third class is `-inf`, but not the label.
    Masked,
    /// The label is `-inf`.
    LabelMasked,
    /// Only `-inf`.
    AllMasked,
    /// A NaN, in another lane for each length and seed.
    Nan,
    /// A `+inf`, in another lane for each length and seed.
    Infinite,
}

impl Row {
    /// All of them.
    pub const ALL: [Row; 14] = [
        Row::Narrow,
        Row::Wide,
        Row::VeryWide,
        Row::Tied,
        Row::Confident,
        Row::VeryConfident,
        Row::Subnormal,
        Row::Offset,
        Row::Extreme,
        Row::Masked,
        Row::LabelMasked,
        Row::AllMasked,
        Row::Nan,
        Row::Infinite,
    ];

    /// Those that every option meets.
    pub const FEW: [Row; 8] = [
        Row::Wide,
        Row::VeryWide,
        Row::Tied,
        Row::VeryConfident,
        Row::Masked,
        Row::LabelMasked,
        Row::Nan,
        Row::Infinite,
    ];

    /// The label of a row of `classes`, 0 if there are none.
    #[must_use]
    pub const fn label(self, classes: usize) -> usize {
        let middle = classes / 2;
        // Not the class that `Masked` masks.
        if matches!(self, Row::Masked) && middle % 3 == 1 { middle - 1 } else { middle }
    }

    /// The logits of a row of `classes`.
    pub(crate) fn logits(self, classes: usize, seed: u32) -> impl Iterator<Item = f32> {
        let mut random = Random::new(seed.wrapping_mul(1000) + classes as u32);
        let middle = classes / 2;
        let place = (classes * classes / 3 + 7 * seed as usize).checked_rem(classes).unwrap_or(0);
        (0..classes).map(move |class| {
            let unit = random.unit();
            let wide = (unit - 0.5) * 20.0;
            match self {
                Row::Narrow => (unit - 0.5) * 2.0,
                Row::Wide => wide,
                Row::VeryWide => (unit - 0.5) * 200.0,
                Row::Tied => 1.5,
                Row::Confident => {
                    if class == middle {
                        0.0
                    } else {
                        -17.0
                    }
                }
                Row::VeryConfident => {
                    if class == middle {
                        0.0
                    } else {
                        -103.5
                    }
                }
                Row::Subnormal => f32::from_bits(1 + 1009 * class as u32),
                Row::Offset => 10_000.0 + wide,
                Row::Extreme => {
                    if class % 5 == 0 {
                        f32::MAX
                    } else {
                        f32::MIN
                    }
                }
                Row::Masked => {
                    if class % 3 == 1 {
                        f32::NEG_INFINITY
                    } else {
                        wide
                    }
                }
                Row::LabelMasked => {
                    if class == middle {
                        f32::NEG_INFINITY
                    } else {
                        wide
                    }
                }
                Row::AllMasked => f32::NEG_INFINITY,
                Row::Nan => {
                    if class == place {
                        f32::NAN
                    } else {
                        wide
                    }
                }
                Row::Infinite => {
                    if class == place {
                        f32::INFINITY
                    } else {
                        wide
                    }
                }
            }
        })
    }
}

/// A probability from a logit; the logit itself, if it is subnormal.
pub(crate) fn probability(logit: f32) -> f32 {
    if logit.is_subnormal() { logit } else { 1.0 / (1.0 + logit.abs()) }
}

/// Targets in [0, 1], a quarter of them 0 and a quarter 1; 0 where the class is masked and `row` does
/// not say otherwise.
pub(crate) fn targets(row: Row, classes: usize, seed: u32) -> impl Iterator<Item = f32> {
    let mut random = Random::new(seed.wrapping_mul(1000) + 500_000 + classes as u32);
    (0..classes).map(move |class| {
        let (choice, unit) = (random.below(4), random.unit());
        match choice {
            _ if row == Row::Masked && class % 3 == 1 => 0.0,
            0 => 0.0,
            1 => 1.0,
            _ => unit,
        }
    })
}
