//! Entropy and divergences of probabilities, of a row or of many.

use crate::kernel::tree::TreeSum;
use crate::loss::check_length;
use crate::{Backend, Error, Rows};

/// Entropy of `p`: `-Σ p_c ln(p_c)`, in nats.
///
/// `p`: probabilities, any length, taken as given: they need not sum to 1.
///
/// Special values: `0 ln 0` is 0, and so is the entropy of nothing; a NaN or a negative probability
/// gives NaN, otherwise a `+inf` gives `-inf`.
///
/// Accuracy: [`accuracy::ENTROPY`](crate::accuracy::ENTROPY), against
/// [`reference::entropy`](crate::reference::entropy).
///
/// ```
/// use xent_core::entropy;
/// assert_eq!(entropy(&[0.5, 0.25, 0.25]), 1.0397208);
/// assert_eq!(entropy(&[1.0, 0.0]), 0.0);
/// ```
#[doc(alias = "shannon_entropy")]
#[must_use]
pub fn entropy(p: &[f32]) -> f32 {
    Backend::detected().entropy(p)
}

/// The entropy of each row. See [`entropy`].
///
/// `out`: one element a row.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, entropy_rows};
/// let mut out = [0.0; 2];
/// entropy_rows(Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?, &mut out)?;
/// assert_eq!(out, [2_f32.ln(), 0.0]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn entropy_rows(p: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().entropy_rows(p, out)
}

/// Kullback-Leibler divergence of `p` from `q`: `Σ p_c ln(p_c / q_c)`, in nats.
///
/// `p`, `q`: probabilities, of one length, taken as given: they need not sum to 1. The quotient is never
/// rounded, so a term keeps its digits where `p_c` is near `q_c`. Terms of either sign still cancel in
/// the sum where all of `p` is near `q`, and there the rounding of the probabilities themselves counts
/// for more: for logits there is [`Distillation`](crate::Distillation), which does not cancel, and
/// [`js_divergence`] does not either.
///
/// Special values: a term with `p_c = 0` is 0, one with `p_c > 0` and `q_c = 0` is `+inf`; the divergence
/// of nothing is 0. A NaN or a negative probability, in either, gives NaN, also beside a 0. An infinite
/// `p_c` gives `+inf`, an infinite `q_c` beside a positive `p_c` gives `-inf`, both give NaN.
/// Errors: [`Error::LengthMismatch`].
///
/// Accuracy: [`accuracy::KL_DIVERGENCE`](crate::accuracy::KL_DIVERGENCE), against
/// [`reference::kl_divergence`](crate::reference::kl_divergence).
///
/// ```
/// use xent_core::kl_divergence;
/// assert_eq!(kl_divergence(&[0.5, 0.5], &[0.75, 0.25])?, 0.14384104);
/// assert_eq!(kl_divergence(&[0.0, 1.0], &[0.0, 1.0])?, 0.0);
/// assert_eq!(kl_divergence(&[0.5, 0.5], &[1.0, 0.0])?, f32::INFINITY);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[doc(alias = "relative_entropy", alias = "kullback_leibler")]
pub fn kl_divergence(p: &[f32], q: &[f32]) -> Result<f32, Error> {
    Backend::detected().kl_divergence(p, q)
}

/// The Kullback-Leibler divergence of each row of `p` from that of `q`. See [`kl_divergence`].
///
/// `p`, `q`: of one shape, each in its own layout. `out`: one element a row.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, kl_divergence_rows};
/// let p = Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?;
/// let mut out = [0.0; 2];
/// kl_divergence_rows(p, Rows::new(&[0.75, 0.25, 0.5, 0.5], 2, 2)?, &mut out)?;
/// assert_eq!(out, [0.14384104, 2_f32.ln()]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn kl_divergence_rows(p: Rows<'_>, q: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().kl_divergence_rows(p, q, out)
}

/// Jensen-Shannon divergence of `p` and `q`, in nats.
///
/// `(Σ p_c ln(p_c / m_c) + Σ q_c ln(q_c / m_c)) / 2` with `m = (p + q) / 2`. The two terms of a class are
/// taken together and are not negative, so nothing cancels: a divergence of 5e-15 keeps its digits.
/// `p`, `q`: probabilities, of one length, taken as given: they need not sum to 1. Exchanged, they give
/// the same bits.
///
/// Special values: `0 ln 0` is 0; the divergence of nothing is 0. A NaN or a negative probability, in
/// either, gives NaN; otherwise an infinite one gives `+inf`, two of one class NaN.
/// Errors: [`Error::LengthMismatch`].
///
/// Accuracy: [`accuracy::JS_DIVERGENCE`](crate::accuracy::JS_DIVERGENCE), against
/// [`reference::js_divergence`](crate::reference::js_divergence).
///
/// ```
/// use xent_core::js_divergence;
/// assert_eq!(js_divergence(&[1.0, 0.0], &[0.0, 1.0])?, 2_f32.ln());
/// assert_eq!(js_divergence(&[0.5, 0.5], &[0.5000001, 0.4999999])?, 5.551115e-15);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[doc(alias = "jensen_shannon")]
pub fn js_divergence(p: &[f32], q: &[f32]) -> Result<f32, Error> {
    Backend::detected().js_divergence(p, q)
}

/// The Jensen-Shannon divergence of each row of `p` and of `q`. See [`js_divergence`].
///
/// `p`, `q`: of one shape, each in its own layout. `out`: one element a row.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, js_divergence_rows};
/// let p = Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?;
/// let mut out = [0.0; 2];
/// js_divergence_rows(p, Rows::new(&[0.5, 0.5, 0.0, 1.0], 2, 2)?, &mut out)?;
/// assert_eq!(out, [0.0, 2_f32.ln()]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn js_divergence_rows(p: Rows<'_>, q: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().js_divergence_rows(p, q, out)
}

/// Entropy and divergences on a chosen backend.
impl Backend {
    /// [`entropy`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.entropy(&[0.5, 0.5]), 2_f32.ln());
    /// ```
    #[must_use]
    pub fn entropy(self, p: &[f32]) -> f32 {
        let mut sum = TreeSum::EMPTY;
        self.entropy_sum(&mut sum, p);
        value(&sum)
    }

    /// [`entropy_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let mut out = [0.0; 2];
    /// Backend::SCALAR.entropy_rows(Rows::new(&[0.5; 4], 2, 2)?, &mut out)?;
    /// assert_eq!(out, [2_f32.ln(); 2]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn entropy_rows(self, p: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        check_length(p.n_rows(), out.len())?;
        let mut out = out.iter_mut();
        p.for_tiles(|rows, p| {
            for (row, out) in (0..rows.len()).zip(&mut out) {
                let mut sum = TreeSum::EMPTY;
                p.for_blocks(row, |p| self.entropy_sum(&mut sum, p));
                *out = value(&sum);
            }
        });
        Ok(())
    }

    /// [`kl_divergence`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.kl_divergence(&[1.0, 0.0], &[0.5, 0.5])?, 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn kl_divergence(self, p: &[f32], q: &[f32]) -> Result<f32, Error> {
        check_length(p.len(), q.len())?;
        let mut sum = TreeSum::EMPTY;
        self.kl_sum(&mut sum, p, q);
        Ok(value(&sum))
    }

    /// [`kl_divergence_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let (p, q) = (Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&[0.5, 0.5], 1, 2)?);
    /// let mut out = [0.0];
    /// Backend::SCALAR.kl_divergence_rows(p, q, &mut out)?;
    /// assert_eq!(out, [2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn kl_divergence_rows(
        self,
        p: Rows<'_>,
        q: Rows<'_>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        p.check_shape_of(&q)?;
        check_length(p.n_rows(), out.len())?;
        let mut out = out.iter_mut();
        p.for_tile_pairs(&q, |rows, p, q| {
            for (row, out) in (0..rows.len()).zip(&mut out) {
                let mut sum = TreeSum::EMPTY;
                p.for_block_pairs(q, row, |p, q| self.kl_sum(&mut sum, p, q));
                *out = value(&sum);
            }
        });
        Ok(())
    }

    /// [`js_divergence`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.js_divergence(&[1.0, 0.0], &[0.0, 1.0])?, 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn js_divergence(self, p: &[f32], q: &[f32]) -> Result<f32, Error> {
        check_length(p.len(), q.len())?;
        let mut sum = TreeSum::EMPTY;
        self.js_sum(&mut sum, p, q);
        Ok(value(&sum))
    }

    /// [`js_divergence_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let (p, q) = (Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&[0.0, 1.0], 1, 2)?);
    /// let mut out = [0.0];
    /// Backend::SCALAR.js_divergence_rows(p, q, &mut out)?;
    /// assert_eq!(out, [2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn js_divergence_rows(
        self,
        p: Rows<'_>,
        q: Rows<'_>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        p.check_shape_of(&q)?;
        check_length(p.n_rows(), out.len())?;
        let mut out = out.iter_mut();
        p.for_tile_pairs(&q, |rows, p, q| {
            for (row, out) in (0..rows.len()).zip(&mut out) {
                let mut sum = TreeSum::EMPTY;
                p.for_block_pairs(q, row, |p, q| self.js_sum(&mut sum, p, q));
                *out = value(&sum);
            }
        });
        Ok(())
    }
}

/// The sum, with one bit pattern for all NaN.
fn value(sum: &TreeSum) -> f32 {
    let value = sum.value().hi;
    if value.is_nan() { f32::NAN } else { value }
}
