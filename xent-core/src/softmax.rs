//! Log-sum-exp, softmax and log-softmax of a row or of many.

use crate::kernel::log_sum_exp::BlockState;
use crate::kernel::rows_in_lanes::{Layout, SHORT};
use crate::kernel::tree::GROUP;
use crate::loss::check_length;
use crate::{Backend, Error, LogSumExp, Rows};

/// Natural logarithm of the sum of exponentials of `x`.
///
/// `ln(Σ exp(x_i))`, computed as `m + ln(1 + s)` with `m = max(x)` and `s = Σ exp(x_i - m)` over all
/// elements but one maximum. `x`: logits in nats, any length.
///
/// Special values: empty or all `-inf` gives `-inf`; a NaN gives NaN; otherwise a `+inf` gives `+inf`.
///
/// Accuracy: [`accuracy::LOG_SUM_EXP`](crate::accuracy::LOG_SUM_EXP), against
/// [`reference::log_sum_exp`](crate::reference::log_sum_exp). For a loss use
/// [`CrossEntropy`](crate::CrossEntropy): `log_sum_exp(x) - x[t]` loses the digits of a small one.
///
/// ```
/// use xent_core::log_sum_exp;
/// assert_eq!(log_sum_exp(&[1.0, 2.0, 3.0]), 3.407606);
/// assert_eq!(log_sum_exp(&[]), f32::NEG_INFINITY);
/// ```
#[doc(alias = "logsumexp", alias = "lse")]
#[must_use]
pub fn log_sum_exp(x: &[f32]) -> f32 {
    Backend::detected().log_sum_exp(x)
}

/// The log-sum-exp of each row.
///
/// `out`: one element a row. Special values and accuracy are those of [`log_sum_exp`].
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, log_sum_exp_rows};
/// let mut out = [0.0; 2];
/// log_sum_exp_rows(Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?, &mut out)?;
/// assert_eq!(out, [3.407606, 1.0986123]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn log_sum_exp_rows(x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().log_sum_exp_rows(x, out)
}

/// Softmax of `x`: `exp(x_i) / Σ exp(x_j)`, to a buffer.
///
/// `x`: logits in nats. `out`: of the same length.
///
/// Special values: a NaN or `+inf` logit, or only `-inf`, makes every element NaN; a `-inf` logit
/// among others has probability 0.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
/// Accuracy: [`accuracy::SOFTMAX`](crate::accuracy::SOFTMAX), against
/// [`reference::softmax`](crate::reference::softmax).
///
/// ```
/// let mut probs = [0.0; 3];
/// xent_core::softmax(&[1.0, 2.0, 3.0], &mut probs)?;
/// assert_eq!(probs, [0.09003057, 0.24472848, 0.66524094]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn softmax(x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().softmax(x, out)
}

/// Softmax in place. See [`softmax`].
///
/// ```
/// let mut x = [1.0, 2.0, 3.0];
/// xent_core::softmax_in_place(&mut x);
/// assert_eq!(x, [0.09003057, 0.24472848, 0.66524094]);
/// ```
pub fn softmax_in_place(x: &mut [f32]) {
    Backend::detected().softmax_in_place(x);
}

/// Softmax of each row, row-major. See [`softmax`].
///
/// `out`: `n_rows * classes` elements.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, softmax_rows};
/// let mut out = [0.0; 4];
/// softmax_rows(Rows::new(&[0.0, 0.0, 5.0, 5.0], 2, 2)?, &mut out)?;
/// assert_eq!(out, [0.5; 4]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn softmax_rows(x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().softmax_rows(x, out)
}

/// Logarithm of the softmax of `x`: `(x_i - m) - ln(1 + s)`, to a buffer.
///
/// `x`: logits in nats. `out`: of the same length. `m` and `s` are those of [`log_sum_exp`]; neither
/// difference cancels.
///
/// Special values: a NaN or `+inf` logit, or only `-inf`, makes every element NaN; a `-inf` logit
/// among others gives `-inf`.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
/// Accuracy: [`accuracy::LOG_SOFTMAX`](crate::accuracy::LOG_SOFTMAX), against
/// [`reference::log_softmax`](crate::reference::log_softmax).
///
/// ```
/// let mut out = [0.0; 3];
/// xent_core::log_softmax(&[1.0, 2.0, 3.0], &mut out)?;
/// assert_eq!(out, [-2.407606, -1.4076059, -0.40760595]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn log_softmax(x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().log_softmax(x, out)
}

/// Log-softmax in place. See [`log_softmax`].
///
/// ```
/// let mut x = [20.0, 0.0, 0.0, 0.0];
/// xent_core::log_softmax_in_place(&mut x);
/// assert_eq!(x, [-6.183461e-9, -20.0, -20.0, -20.0]);
/// ```
pub fn log_softmax_in_place(x: &mut [f32]) {
    Backend::detected().log_softmax_in_place(x);
}

/// Log-softmax of each row, row-major. See [`log_softmax`].
///
/// `out`: `n_rows * classes` elements.
/// Errors: [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{Rows, log_softmax_rows};
/// let mut out = [0.0; 2];
/// log_softmax_rows(Rows::new(&[7.0, 7.0], 1, 2)?, &mut out)?;
/// assert_eq!(out, [-2_f32.ln(); 2]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn log_softmax_rows(x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
    Backend::detected().log_softmax_rows(x, out)
}

/// The functions of this crate on a chosen backend.
impl Backend {
    /// [`log_sum_exp`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.log_sum_exp(&[0.0, 0.0]), 2_f32.ln());
    /// ```
    #[must_use]
    #[inline]
    pub fn log_sum_exp(self, x: &[f32]) -> f32 {
        if Backend::SIMD
            && x.len() <= GROUP
            && let Some(lse) = self.for_row(x.len()).lse_of_short(x)
        {
            return lse;
        }
        self.lse(x)
    }

    /// [`log_sum_exp_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let mut out = [0.0; 2];
    /// Backend::SCALAR.log_sum_exp_rows(Rows::new(&[0.0; 4], 2, 2)?, &mut out)?;
    /// assert_eq!(out, [2_f32.ln(); 2]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn log_sum_exp_rows(self, x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        check_length(x.n_rows(), out.len())?;
        x.for_runs(usize::MAX, |rows, run, layout| {
            let out = out.get_mut(rows).unwrap_or_default();
            self.lse_rows(run, layout, out);
        });
        Ok(())
    }

    /// [`LogSumExp::of`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.log_sum_exp_state(&[1.0, 3.0]).max(), 3.0);
    /// ```
    #[must_use]
    pub fn log_sum_exp_state(self, x: &[f32]) -> LogSumExp {
        self.for_row(x.len()).lse_state(x)
    }

    /// [`LogSumExp::value`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, LogSumExp};
    /// assert_eq!(Backend::SCALAR.log_sum_exp_value(LogSumExp::of(&[0.0; 2])), 2_f32.ln());
    /// ```
    #[must_use]
    pub fn log_sum_exp_value(self, state: LogSumExp) -> f32 {
        self.lse_value(&state)
    }

    /// [`LogSumExp::loss`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, LogSumExp};
    /// assert_eq!(Backend::SCALAR.log_sum_exp_loss(LogSumExp::of(&[0.0; 2]), 0.0), 2_f32.ln());
    /// ```
    #[must_use]
    pub fn log_sum_exp_loss(self, state: LogSumExp, label_logit: f32) -> f32 {
        self.lse_loss(&state, label_logit)
    }

    /// [`softmax`] on this backend.
    ///
    /// ```
    /// let mut out = [0.0; 2];
    /// xent_core::Backend::SCALAR.softmax(&[1.0, 1.0], &mut out)?;
    /// assert_eq!(out, [0.5, 0.5]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn softmax(self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        check_length(x.len(), out.len())?;
        self.for_row(x.len()).softmax_of(x, out);
        Ok(())
    }

    /// [`softmax_in_place`] on this backend.
    ///
    /// ```
    /// let mut x = [1.0, 1.0];
    /// xent_core::Backend::SCALAR.softmax_in_place(&mut x);
    /// assert_eq!(x, [0.5, 0.5]);
    /// ```
    pub fn softmax_in_place(self, x: &mut [f32]) {
        self.for_row(x.len()).softmax_of_in_place(x);
    }

    /// [`softmax_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let mut out = [0.0; 4];
    /// Backend::SCALAR.softmax_rows(Rows::new(&[1.0; 4], 2, 2)?, &mut out)?;
    /// assert_eq!(out, [0.5; 4]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn softmax_rows(self, x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        check_length(x.n_elements(), out.len())?;
        if goes_side_by_side(x) {
            for_short_rows(x, out, |x, layout, out| self.softmaxes(x, layout, out));
            return Ok(());
        }
        if x.as_slice(0).is_some() {
            for (row, out) in out.chunks_exact_mut(x.classes().max(1)).enumerate() {
                self.softmax(x.as_slice(row).unwrap_or_default(), out)?;
            }
            return Ok(());
        }
        x.for_copies(out, |row| self.softmax_in_place(row));
        Ok(())
    }

    /// [`log_softmax`] on this backend.
    ///
    /// ```
    /// let mut out = [0.0; 2];
    /// xent_core::Backend::SCALAR.log_softmax(&[1.0, 1.0], &mut out)?;
    /// assert_eq!(out, [-2_f32.ln(); 2]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn log_softmax(self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        check_length(x.len(), out.len())?;
        self.for_row(x.len()).log_softmax_of(x, out);
        Ok(())
    }

    /// [`log_softmax_in_place`] on this backend.
    ///
    /// ```
    /// let mut x = [1.0, 1.0];
    /// xent_core::Backend::SCALAR.log_softmax_in_place(&mut x);
    /// assert_eq!(x, [-2_f32.ln(); 2]);
    /// ```
    pub fn log_softmax_in_place(self, x: &mut [f32]) {
        self.for_row(x.len()).log_softmax_of_in_place(x);
    }

    /// [`log_softmax_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, Rows};
    /// let mut out = [0.0; 2];
    /// Backend::SCALAR.log_softmax_rows(Rows::new(&[1.0; 2], 1, 2)?, &mut out)?;
    /// assert_eq!(out, [-2_f32.ln(); 2]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn log_softmax_rows(self, x: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        check_length(x.n_elements(), out.len())?;
        if goes_side_by_side(x) {
            for_short_rows(x, out, |x, layout, out| self.log_softmaxes(x, layout, out));
            return Ok(());
        }
        if x.as_slice(0).is_some() {
            for (row, out) in out.chunks_exact_mut(x.classes().max(1)).enumerate() {
                self.log_softmax(x.as_slice(row).unwrap_or_default(), out)?;
            }
            return Ok(());
        }
        x.for_copies(out, |row| self.log_softmax_in_place(row));
        Ok(())
    }

    /// The state of a row in any layout.
    pub(crate) fn row_state(self, x: &Rows<'_>, row: usize) -> LogSumExp {
        let mut state = BlockState::EMPTY;
        x.for_blocks(row, |x| self.lse_push(&mut state, x));
        state.state()
    }
}

/// Whether rows are so short that several at a time take less time than one by one; of rows without classes there
/// can be any number.
fn goes_side_by_side(x: Rows<'_>) -> bool {
    Backend::SIMD && x.n_rows() > 1 && (1..=SHORT).contains(&x.classes())
}

/// Calls `run` with rows of a regular layout, where they are, and the outputs of those rows.
fn for_short_rows(x: Rows<'_>, out: &mut [f32], mut run: impl FnMut(&[f32], Layout, &mut [f32])) {
    let classes = x.classes();
    x.for_runs(usize::MAX, |rows, x, layout| {
        let out = out.get_mut(rows.start * classes..rows.end * classes).unwrap_or_default();
        run(x, layout, out);
    });
}
