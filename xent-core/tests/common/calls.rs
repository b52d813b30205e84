//! Every call of a loss behind one trait, so that a check can go through all of them.

use xent_core::{
    BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Error, GradientScale, LossTotal, Rows, Target, Targets,
};

pub(crate) const UNTOUCHED: f32 = -77.0;

/// A loss over classes.
pub(crate) trait ClassLoss: Copy {
    fn check(&self, x: Rows<'_>, t: Targets<'_>) -> Result<(), Error>;
    fn row(&self, x: &[f32], t: Target<'_>) -> Result<f32, Error>;
    fn rows(&self, x: Rows<'_>, t: Targets<'_>, out: &mut [f32]) -> Result<(), Error>;
    fn total(&self, x: Rows<'_>, t: Targets<'_>) -> Result<LossTotal, Error>;
    fn row_gradient(&self, x: &[f32], t: Target<'_>, out: &mut [f32]) -> Result<f32, Error>;
    fn row_gradient_in_place(&self, x: &mut [f32], t: Target<'_>) -> Result<f32, Error>;
    fn gradient(
        &self,
        x: Rows<'_>,
        t: Targets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error>;
    fn gradient_in_place(
        &self,
        x: &mut [f32],
        shape: [usize; 2],
        t: Targets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error>;
    fn gradient_factor(
        &self,
        t: Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f64, Error>;
    fn ignoring(self, label: i64) -> Self;
}

macro_rules! class_loss {
    ($($loss:ident)*) => {$(
        impl ClassLoss for $loss<'_> {
            fn check(&self, x: Rows<'_>, t: Targets<'_>) -> Result<(), Error> {
                $loss::check(self, x, t)
            }
            fn row(&self, x: &[f32], t: Target<'_>) -> Result<f32, Error> {
                $loss::row(self, x, t)
            }
            fn rows(&self, x: Rows<'_>, t: Targets<'_>, out: &mut [f32]) -> Result<(), Error> {
                $loss::rows(self, x, t, out)
            }
            fn total(&self, x: Rows<'_>, t: Targets<'_>) -> Result<LossTotal, Error> {
                $loss::total(self, x, t)
            }
            fn row_gradient(&self, x: &[f32], t: Target<'_>, out: &mut [f32]) -> Result<f32, Error> {
                $loss::row_gradient(self, x, t, out)
            }
            fn row_gradient_in_place(&self, x: &mut [f32], t: Target<'_>) -> Result<f32, Error> {
                $loss::row_gradient_in_place(self, x, t)
            }
            fn gradient(
                &self,
                x: Rows<'_>,
                t: Targets<'_>,
                scale: GradientScale,
                out: &mut [f32],
            ) -> Result<LossTotal, Error> {
                $loss::gradient(self, x, t, scale, out)
            }
            fn gradient_in_place(
                &self,
                x: &mut [f32],
                [n_rows, classes]: [usize; 2],
                t: Targets<'_>,
                scale: GradientScale,
            ) -> Result<LossTotal, Error> {
                $loss::gradient_in_place(self, x, n_rows, classes, t, scale)
            }
            fn gradient_factor(
                &self,
                t: Targets<'_>,
                n_rows: usize,
                scale: GradientScale,
            ) -> Result<f64, Error> {
                $loss::gradient_factor(self, t, n_rows, scale)
            }
            fn ignoring(self, label: i64) -> Self {
                self.ignore(label)
            }
        }
    )*};
}

class_loss! { CrossEntropy ClippedCrossEntropy }

/// A loss of elements.
pub(crate) trait ElementLoss: Copy {
    fn check(&self, x: Rows<'_>, t: BinaryTargets<'_>) -> Result<(), Error>;
    fn row(&self, x: &[f32], y: &[f32], out: &mut [f32]) -> Result<(), Error>;
    fn rows(&self, x: Rows<'_>, t: BinaryTargets<'_>, out: &mut [f32]) -> Result<(), Error>;
    fn total(&self, x: Rows<'_>, t: BinaryTargets<'_>) -> Result<LossTotal, Error>;
    fn gradient(
        &self,
        x: Rows<'_>,
        t: BinaryTargets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error>;
    fn gradient_in_place(
        &self,
        x: &mut [f32],
        t: BinaryTargets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error>;
    fn gradient_factor(&self, t: BinaryTargets<'_>, scale: GradientScale) -> Result<f64, Error>;
}

macro_rules! element_loss {
    ($($loss:ident)*) => {$(
        impl ElementLoss for $loss<'_> {
            fn check(&self, x: Rows<'_>, t: BinaryTargets<'_>) -> Result<(), Error> {
                $loss::check(self, x, t)
            }
            fn row(&self, x: &[f32], y: &[f32], out: &mut [f32]) -> Result<(), Error> {
                $loss::row(self, x, y, out)
            }
            fn rows(&self, x: Rows<'_>, t: BinaryTargets<'_>, out: &mut [f32]) -> Result<(), Error> {
                $loss::rows(self, x, t, out)
            }
            fn total(&self, x: Rows<'_>, t: BinaryTargets<'_>) -> Result<LossTotal, Error> {
                $loss::total(self, x, t)
            }
            fn gradient(
                &self,
                x: Rows<'_>,
                t: BinaryTargets<'_>,
                scale: GradientScale,
                out: &mut [f32],
            ) -> Result<LossTotal, Error> {
                $loss::gradient(self, x, t, scale, out)
            }
            fn gradient_in_place(
                &self,
                x: &mut [f32],
                t: BinaryTargets<'_>,
                scale: GradientScale,
            ) -> Result<LossTotal, Error> {
                $loss::gradient_in_place(self, x, t, scale)
            }
            fn gradient_factor(
                &self,
                t: BinaryTargets<'_>,
                scale: GradientScale,
            ) -> Result<f64, Error> {
                $loss::gradient_factor(self, t, scale)
            }
        }
    )*};
}

element_loss! { BinaryCrossEntropy ClippedBinaryCrossEntropy }

/// Two errors are the same, NaN included.
#[track_caller]
pub(crate) fn assert_error<T: std::fmt::Debug>(got: Result<T, Error>, want: Error) {
    let got = got.unwrap_err();
    assert_eq!(format!("{got:?}"), format!("{want:?}"));
}

/// Every call with these rows, all of them contiguous, is this error, and nothing is written.
#[track_caller]
pub(crate) fn assert_class_error<L: ClassLoss>(loss: L, x: Rows<'_>, t: Targets<'_>, want: Error) {
    let (n_rows, classes) = (x.n_rows(), x.classes());
    let mut losses = vec![UNTOUCHED; n_rows];
    let mut gradient = vec![UNTOUCHED; n_rows * classes];
    assert_error(loss.check(x, t), want);
    assert_error(loss.rows(x, t, &mut losses), want);
    assert_error(loss.total(x, t), want);
    assert_error(loss.gradient(x, t, 1.0.into(), &mut gradient), want);
    let before = gradient.clone();
    assert_error(loss.gradient_in_place(&mut gradient, [n_rows, classes], t, 1.0.into()), want);
    assert_eq!(gradient, before);
    assert!(losses.iter().chain(&gradient).all(|&x| x == UNTOUCHED));
}

/// As [`assert_class_error`], of the calls with one row.
#[track_caller]
pub(crate) fn assert_row_error<L: ClassLoss>(loss: L, x: &[f32], t: Target<'_>, want: Error) {
    let mut gradient = vec![UNTOUCHED; x.len()];
    assert_error(loss.row(x, t), want);
    assert_error(loss.row_gradient(x, t, &mut gradient), want);
    assert_error(loss.row_gradient_in_place(&mut gradient, t), want);
    assert!(gradient.iter().all(|&x| x == UNTOUCHED));
}

/// As [`assert_class_error`], of elements.
#[track_caller]
pub(crate) fn assert_element_error<L: ElementLoss>(
    loss: L,
    x: Rows<'_>,
    t: BinaryTargets<'_>,
    want: Error,
) {
    let mut out = vec![UNTOUCHED; x.n_elements()];
    assert_error(loss.check(x, t), want);
    assert_error(loss.rows(x, t, &mut out), want);
    assert_error(loss.total(x, t), want);
    assert_error(loss.gradient(x, t, 1.0.into(), &mut out), want);
    assert_error(loss.gradient_in_place(&mut out, t, 1.0.into()), want);
    assert!(out.iter().all(|&x| x == UNTOUCHED));
}
