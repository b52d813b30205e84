//! The functions of a batch on a chosen backend.

use xent_core::{Backend, Error, Label, LogSumExp, RowStatistics, Rows, Targets};

use crate::parallel;

mod sealed {
    pub trait Sealed {}
    impl Sealed for xent_core::Backend {}
}

/// The functions of this crate on a chosen [`Backend`].
///
/// ```
/// use xent_std::{Backend, BatchBackend, Rows};
/// let x = Rows::new(&[0.0, 0.0, 5.0, 5.0], 2, 2)?;
/// assert_eq!(Backend::SCALAR.batch_softmax(x), [0.5; 4]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait BatchBackend: sealed::Sealed {
    /// [`batch_log_sum_exp`](crate::batch_log_sum_exp) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[0.0; 4], 2, 2)?;
    /// assert_eq!(Backend::SCALAR.batch_log_sum_exp(x), [2_f32.ln(); 2]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_log_sum_exp(self, x: Rows<'_>) -> Vec<f32>;

    /// [`batch_softmax`](crate::batch_softmax) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// assert_eq!(Backend::SCALAR.batch_softmax(Rows::new(&[1.0; 4], 2, 2)?), [0.5; 4]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_softmax(self, x: Rows<'_>) -> Vec<f32>;

    /// [`batch_log_softmax`](crate::batch_log_softmax) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[1.0; 2], 1, 2)?;
    /// assert_eq!(Backend::SCALAR.batch_log_softmax(x), [-2_f32.ln(); 2]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_log_softmax(self, x: Rows<'_>) -> Vec<f32>;

    /// [`parallel_log_sum_exp`](crate::parallel_log_sum_exp) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend};
    /// assert_eq!(Backend::SCALAR.parallel_log_sum_exp(&[0.0, 0.0]), 2_f32.ln());
    /// ```
    #[must_use]
    fn parallel_log_sum_exp(self, x: &[f32]) -> f32;

    /// [`batch_statistics`](crate::batch_statistics) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[0.0; 4], 2, 2)?;
    /// let rows = Backend::SCALAR.batch_statistics(x, &[0, 1])?;
    /// assert_eq!(rows[1].entropy(), 2_f32.ln());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_statistics<L: Label + Sync>(
        self,
        x: Rows<'_>,
        labels: &[L],
    ) -> Result<Vec<RowStatistics>, Error>;

    /// [`batch_entropy`](crate::batch_entropy) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let p = Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?;
    /// assert_eq!(Backend::SCALAR.batch_entropy(p), [2_f32.ln(), 0.0]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_entropy(self, p: Rows<'_>) -> Vec<f32>;

    /// [`batch_kl_divergence`](crate::batch_kl_divergence) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let (p, q) = (Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&[0.5, 0.5], 1, 2)?);
    /// assert_eq!(Backend::SCALAR.batch_kl_divergence(p, q)?, [2_f32.ln()]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_kl_divergence(self, p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error>;

    /// [`batch_js_divergence`](crate::batch_js_divergence) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let (p, q) = (Rows::new(&[1.0, 0.0], 1, 2)?, Rows::new(&[0.0, 1.0], 1, 2)?);
    /// assert_eq!(Backend::SCALAR.batch_js_divergence(p, q)?, [2_f32.ln()]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_js_divergence(self, p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error>;
}

impl BatchBackend for Backend {
    fn batch_log_sum_exp(self, x: Rows<'_>) -> Vec<f32> {
        if parallel::splits_rows(parallel::n_tasks(x.n_rows(), x.n_elements()), &x) {
            let states = parallel::row_states(self, &x);
            return states.into_iter().map(|state| self.log_sum_exp_value(state)).collect();
        }
        filled(x, 1, |x, out| self.log_sum_exp_rows(x, out))
    }

    fn batch_softmax(self, x: Rows<'_>) -> Vec<f32> {
        filled(x, x.classes(), |x, out| self.softmax_rows(x, out))
    }

    fn batch_log_softmax(self, x: Rows<'_>) -> Vec<f32> {
        filled(x, x.classes(), |x, out| self.log_softmax_rows(x, out))
    }

    fn parallel_log_sum_exp(self, x: &[f32]) -> f32 {
        if parallel::n_tasks(1, x.len()) == 1 {
            return self.log_sum_exp(x);
        }
        let chunks: Vec<&[f32]> = x.chunks(LogSumExp::CHUNK).collect();
        let states = parallel::map(chunks.len(), |i| self.log_sum_exp_state(chunks[i]));
        self.log_sum_exp_value(parallel::merge_states(&states))
    }

    fn batch_statistics<L: Label + Sync>(
        self,
        x: Rows<'_>,
        labels: &[L],
    ) -> Result<Vec<RowStatistics>, Error> {
        // Of the whole batch: a part would count rows from its own first.
        Targets::labels(labels).check(&x)?;
        let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
        let mut out = vec![RowStatistics::NAN; x.n_rows()];
        parallel::fill_rows(n_tasks, x.n_rows(), 1, &mut out, |rows, out| {
            let labels = labels.get(rows.clone()).unwrap_or_default();
            self.row_statistics_rows(x.range(rows), labels, out)
        })?;
        Ok(out)
    }

    fn batch_entropy(self, p: Rows<'_>) -> Vec<f32> {
        filled(p, 1, |p, out| self.entropy_rows(p, out))
    }

    fn batch_kl_divergence(self, p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error> {
        divergences(p, q, |p, q, out| self.kl_divergence_rows(p, q, out))
    }

    fn batch_js_divergence(self, p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error> {
        divergences(p, q, |p, q, out| self.js_divergence_rows(p, q, out))
    }
}

/// `per_row` elements a row.
fn filled(
    x: Rows<'_>,
    per_row: usize,
    fill: impl Fn(Rows<'_>, &mut [f32]) -> Result<(), Error> + Send + Sync,
) -> Vec<f32> {
    let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
    let mut out = vec![0.0; x.n_rows().saturating_mul(per_row)];
    let filled = parallel::fill_rows(n_tasks, x.n_rows(), per_row, &mut out, |rows, out| {
        fill(x.range(rows), out)
    });
    debug_assert_eq!(filled, Ok(()), "the only error is an output of another length");
    out
}

/// One element for each row of `p` and `q`.
fn divergences(
    p: Rows<'_>,
    q: Rows<'_>,
    fill: impl Fn(Rows<'_>, Rows<'_>, &mut [f32]) -> Result<(), Error> + Send + Sync,
) -> Result<Vec<f32>, Error> {
    check_shapes(&p, &q)?;
    let n_tasks = parallel::n_tasks(p.n_rows(), p.n_elements());
    let mut out = vec![0.0; p.n_rows()];
    parallel::fill_rows(n_tasks, p.n_rows(), 1, &mut out, |rows, out| {
        fill(p.range(rows.clone()), q.range(rows), out)
    })?;
    Ok(out)
}

/// The error that core has of the whole, which a part of the rows would have with other numbers.
fn check_shapes(p: &Rows<'_>, q: &Rows<'_>) -> Result<(), Error> {
    if p.n_rows() == q.n_rows() && p.classes() == q.classes() {
        return Ok(());
    }
    let (mut expected, mut found) = (p.n_elements(), q.n_elements());
    if expected == found {
        (expected, found) = (p.n_rows(), q.n_rows());
    }
    Err(Error::LengthMismatch { expected, found })
}
