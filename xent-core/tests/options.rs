//! Options and gradients, on every backend: the same bits from every call, special values, reductions,
//! and what users of other libraries ran into.

mod common;

use common::bounds::{
    binary, binary_option_sets, clipped, clipped_binary, cross_entropy, option_sets,
};
use common::calls::{ClassLoss, ElementLoss};
use common::{Random, assert_same_bits, classes, few_cases, some_weights};
use xent_core::reference::{BinaryOptions, Options};
use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Error, GradientScale, LossTotal, Reduction, Rows, Target, Targets, reference,
};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

/// Numbers of rows and classes: groups of every width, whole and not, blocks, and what is between.
const SHAPES: [[usize; 2]; 16] = [
    [1, 1],
    [37, 1],
    [40, 2],
    [19, 5],
    [33, 9],
    [50, 10],
    [17, 17],
    [35, 31],
    [18, 32],
    [40, 33],
    [37, 40],
    [5, 1024],
    [2, 1025],
    [18, 130],
    [3, 2100],
    [1, 4097],
];

/// All of them, or for few cases every other of the small ones.
fn shapes() -> Vec<[usize; 2]> {
    if !few_cases() {
        return SHAPES.to_vec();
    }
    SHAPES.into_iter().filter(|[n_rows, classes]| n_rows * classes < 700).step_by(2).collect()
}

/// The same rows in several layouts; what is between them is NaN.
fn layouts(x: &[f32], n_rows: usize, classes: usize) -> Vec<(Vec<f32>, [usize; 2])> {
    [[classes + 3, 1], [classes * 2 + 1, 2], [1, n_rows], [2, 2 * n_rows + 1]]
        .into_iter()
        .map(|[row_stride, class_stride]| {
            let end = (n_rows - 1) * row_stride + (classes - 1) * class_stride + 1;
            let mut data = vec![NAN; end];
            for (i, &x) in x.iter().enumerate() {
                data[i / classes * row_stride + i % classes * class_stride] = x;
            }
            (data, [row_stride, class_stride])
        })
        .collect()
}

fn assert_same_totals(a: LossTotal, b: LossTotal, what: &dyn Fn() -> String) {
    let bits = |t: LossTotal| (t.sum().to_bits(), t.weight().to_bits(), t.count());
    assert_eq!(bits(a), bits(b), "{}", what());
}

/// The losses and the gradient from one call, and the same bits from all others.
fn results<L: ClassLoss>(
    loss: L,
    x: &[f32],
    [n_rows, classes]: [usize; 2],
    targets: Targets<'_>,
    what: &dyn Fn() -> String,
) -> Vec<f32> {
    let rows = Rows::new(x, n_rows, classes).unwrap();
    let (mut losses, mut gradient) = (vec![7.0; n_rows], vec![7.0; x.len()]);
    loss.check(rows, targets).unwrap();
    loss.rows(rows, targets, &mut losses).unwrap();
    let total = loss.total(rows, targets).unwrap();
    let scale = GradientScale::Factor(0.37);
    let gradient_total = loss.gradient(rows, targets, scale, &mut gradient).unwrap();
    assert_same_totals(total, gradient_total, what);
    let sum = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss));
    assert_eq!(total.sum().to_bits(), sum.to_bits(), "the sum of the losses, {}", what());

    let mut in_place = x.to_vec();
    let in_place_total =
        loss.gradient_in_place(&mut in_place, [n_rows, classes], targets, scale).unwrap();
    assert_same_totals(total, in_place_total, what);
    assert_same_bits(&in_place, &gradient, &|| format!("in place, {}", what()));

    for (data, [row_stride, class_stride]) in layouts(x, n_rows, classes) {
        let what = || format!("strides {row_stride} and {class_stride}, {}", what());
        let rows = Rows::strided(&data, n_rows, classes, row_stride, class_stride).unwrap();
        let (mut a, mut b) = (vec![7.0; n_rows], vec![7.0; x.len()]);
        loss.rows(rows, targets, &mut a).unwrap();
        assert_same_bits(&a, &losses, &what);
        assert_same_totals(loss.total(rows, targets).unwrap(), total, &what);
        assert_same_totals(loss.gradient(rows, targets, scale, &mut b).unwrap(), total, &what);
        assert_same_bits(&b, &gradient, &what);
    }
    for row in (0..n_rows).step_by(1 + n_rows / 9) {
        let what = || format!("row {row} alone, {}", what());
        let (rows, targets) = (rows.range(row..row + 1), targets.range(row..row + 1));
        let (mut a, mut b) = ([7.0], vec![7.0; classes]);
        loss.rows(rows, targets, &mut a).unwrap();
        assert_same_bits(&a, &losses[row..][..1], &what);
        loss.gradient(rows, targets, scale, &mut b).unwrap();
        assert_same_bits(&b, &gradient[row * classes..][..classes], &what);
    }
    losses.extend(gradient);
    losses
}

/// The calls of one row agree with those of many without sample weights.
fn check_single_rows<L: ClassLoss>(
    loss: L,
    x: &[f32],
    [n_rows, classes]: [usize; 2],
    targets: Targets<'_>,
    y: &[f32],
    what: &dyn Fn() -> String,
) {
    let rows = Rows::new(x, n_rows, classes).unwrap();
    let (mut losses, mut gradient) = (vec![7.0; n_rows], vec![7.0; x.len()]);
    loss.rows(rows, targets, &mut losses).unwrap();
    loss.gradient(rows, targets, 1.0.into(), &mut gradient).unwrap();
    for row in (0..n_rows).step_by(1 + n_rows / 5) {
        let what = || format!("single row {row}, {}", what());
        let (x, y) = (&x[row * classes..][..classes], &y[row * classes..][..classes]);
        let target = targets.label(row).map_or(Target::Distribution(y), Target::Label);
        let (mut out, mut in_place) = (vec![7.0; classes], x.to_vec());
        let alone = loss.row(x, target).unwrap();
        let with_gradient = loss.row_gradient(x, target, &mut out).unwrap();
        let with_in_place = loss.row_gradient_in_place(&mut in_place, target).unwrap();
        let want = [losses[row]; 3];
        assert_same_bits(&[alone, with_gradient, with_in_place], &want, &what);
        assert_same_bits(&out, &gradient[row * classes..][..classes], &what);
        assert_same_bits(&in_place, &out, &what);
    }
}

#[test]
fn every_call_gives_the_same_bits_in_every_layout_and_on_every_backend_of_a_class() {
    for [n_rows, classes_of_row] in shapes() {
        let shape = [n_rows, classes_of_row];
        let n = n_rows * classes_of_row;
        let mut random = Random::new(n as u64);
        let mut x: Vec<f32> = (0..n).map(|_| random.unit() * 30.0 - 15.0).collect();
        // A confident row, a masked one, and one without a loss.
        x[0] = 40.0;
        x[n / 2] = f32::NEG_INFINITY;
        if n_rows > 3 {
            x[n - 1] = NAN;
        }
        let p: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + x.abs())).collect();
        let y: Vec<f32> =
            (0..n).map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() }).collect();
        let weights = some_weights(classes_of_row);
        let labels: Vec<i16> = (0..n_rows)
            .map(|_| if random.below(5) == 0 { -1 } else { random.below(classes_of_row) as i16 })
            .collect();
        let sample_weights: Vec<f32> =
            (0..n_rows).map(|row| [1.0, 0.3, 0.0, 2.5][row % 4]).collect();
        let y_rows = Rows::new(&y, n_rows, classes_of_row).unwrap();
        for (i, (name, options)) in option_sets(&weights).into_iter().enumerate() {
            for (kind, targets) in [
                ("labels", Targets::labels(&labels)),
                ("labels, weighted", Targets::labels(&labels).with_sample_weights(&sample_weights)),
                ("targets", y_rows.into()),
                ("targets, weighted", Targets::from(y_rows).with_sample_weights(&sample_weights)),
            ] {
                if kind.contains("weighted") && (i + n_rows) % 2 == 0 {
                    continue;
                }
                let what = || format!("{n_rows} x {classes_of_row}, {name}, {kind}");
                for class in classes() {
                    let mut of_first: Option<Vec<f32>> = None;
                    for backend in class {
                        let what = || format!("{backend:?}, {}", what());
                        let loss = cross_entropy(backend, &options).ignore(-1);
                        let mut all = results(loss, &x, shape, targets, &what);
                        for normalize in [false, true] {
                            let options = Options { normalize, ..options };
                            let loss = clipped(backend, &options).ignore(-1);
                            all.extend(results(loss, &p, shape, targets, &what));
                            if !kind.contains("weighted") {
                                check_single_rows(loss, &p, shape, targets, &y, &what);
                            }
                        }
                        if !kind.contains("weighted") {
                            check_single_rows(loss, &x, shape, targets, &y, &what);
                        }
                        match &of_first {
                            Some(first) => assert_same_bits(&all, first, &what),
                            None => of_first = Some(all),
                        }
                    }
                }
            }
        }
    }
}

/// As [`results`], of elements.
fn element_results<L: ElementLoss>(
    loss: L,
    x: &[f32],
    [n_rows, classes]: [usize; 2],
    targets: BinaryTargets<'_>,
    sample_weights: Option<&[f32]>,
    y: &[f32],
    what: &dyn Fn() -> String,
) -> Vec<f32> {
    let rows = Rows::new(x, n_rows, classes).unwrap();
    let (mut losses, mut gradient) = (vec![7.0; x.len()], vec![7.0; x.len()]);
    loss.check(rows, targets).unwrap();
    loss.rows(rows, targets, &mut losses).unwrap();
    let total = loss.total(rows, targets).unwrap();
    let scale = GradientScale::Factor(0.37);
    let gradient_total = loss.gradient(rows, targets, scale, &mut gradient).unwrap();
    assert_same_totals(total, gradient_total, what);
    let sum = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss));
    assert_eq!(total.sum().to_bits(), sum.to_bits(), "the sum of the losses, {}", what());
    let mut in_place = x.to_vec();
    let in_place_total = loss.gradient_in_place(&mut in_place, targets, scale).unwrap();
    assert_same_totals(total, in_place_total, what);
    assert_same_bits(&in_place, &gradient, &|| format!("in place, {}", what()));
    let y_layouts = layouts(y, n_rows, classes);
    for (i, (data, [row_stride, class_stride])) in layouts(x, n_rows, classes).iter().enumerate() {
        let what = || format!("strides {row_stride} and {class_stride}, {}", what());
        let rows = Rows::strided(data, n_rows, classes, *row_stride, *class_stride).unwrap();
        let (y_data, [row_stride, class_stride]) = &y_layouts[(i + 1) % y_layouts.len()];
        let ys = Rows::strided(y_data, n_rows, classes, *row_stride, *class_stride).unwrap();
        let moved = BinaryTargets::new(ys);
        let moved = sample_weights.map_or(moved, |weights| moved.with_sample_weights(weights));
        for targets in [targets, moved] {
            let (mut a, mut b) = (vec![7.0; x.len()], vec![7.0; x.len()]);
            loss.rows(rows, targets, &mut a).unwrap();
            assert_same_bits(&a, &losses, &what);
            assert_same_totals(loss.total(rows, targets).unwrap(), total, &what);
            assert_same_totals(loss.gradient(rows, targets, scale, &mut b).unwrap(), total, &what);
            assert_same_bits(&b, &gradient, &what);
        }
    }
    for row in (0..n_rows).step_by(1 + n_rows / 5) {
        let what = || format!("row {row} alone, {}", what());
        let (rows, targets) = (rows.range(row..row + 1), targets.range(row..row + 1));
        let (mut a, mut b) = (vec![7.0; classes], vec![7.0; classes]);
        loss.rows(rows, targets, &mut a).unwrap();
        assert_same_bits(&a, &losses[row * classes..][..classes], &what);
        loss.gradient(rows, targets, scale, &mut b).unwrap();
        assert_same_bits(&b, &gradient[row * classes..][..classes], &what);
        if sample_weights.is_none() {
            let from = row * classes..(row + 1) * classes;
            loss.row(&x[from.clone()], &y[from.clone()], &mut a).unwrap();
            assert_same_bits(&a, &losses[from], &what);
        }
    }
    losses.extend(gradient);
    losses
}

#[test]
fn every_call_of_a_binary_loss_gives_the_same_bits() {
    for shape in shapes() {
        let [n_rows, classes_of_row] = shape;
        let n = n_rows * classes_of_row;
        let mut random = Random::new(n as u64);
        let mut x: Vec<f32> = (0..n).map(|_| random.unit() * 30.0 - 15.0).collect();
        x[0] = INF;
        x[n - 1] = NAN;
        let p: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + x.abs())).collect();
        let y: Vec<f32> = (0..n).map(|i| [0.0, 1.0, random.unit()][i % 3]).collect();
        let pos_weights = some_weights(classes_of_row);
        let sample_weights: Vec<f32> =
            (0..n_rows).map(|row| [1.0, 0.3, 0.0, 2.5][row % 4]).collect();
        let targets = BinaryTargets::new(Rows::new(&y, n_rows, classes_of_row).unwrap());
        for (name, options) in binary_option_sets() {
            for weights in [None, Some(&sample_weights[..])] {
                let targets = weights.map_or(targets, |w| targets.with_sample_weights(w));
                for class in classes() {
                    let mut of_first: Option<Vec<f32>> = None;
                    for backend in class {
                        let what = || format!("{backend:?}, {shape:?}, {name}, {weights:?}");
                        let (a, b) = (binary(backend, &options), clipped_binary(backend, &options));
                        let mut all = element_results(a, &x, shape, targets, weights, &y, &what);
                        all.extend(element_results(b, &p, shape, targets, weights, &y, &what));
                        let (a, b) = (a.pos_weights(&pos_weights), b.pos_weights(&pos_weights));
                        all.extend(element_results(a, &x, shape, targets, weights, &y, &what));
                        all.extend(element_results(b, &p, shape, targets, weights, &y, &what));
                        match &of_first {
                            Some(first) => assert_same_bits(&all, first, &what),
                            None => of_first = Some(all),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_of_channels_first_rows_are_row_major() {
    let (outer, classes, inner) = (3, 7, 10);
    let mut random = Random::new(3);
    let x: Vec<f32> = (0..outer * classes * inner).map(|_| random.unit() * 9.0).collect();
    let rows = Rows::channels_first(&x, outer, classes, inner).unwrap();
    let gathered: Vec<f32> = (0..outer * inner)
        .flat_map(|row| (0..classes).map(move |class| (row, class)))
        .map(|(row, class)| rows.get(row, class).unwrap())
        .collect();
    let want = Rows::new(&gathered, outer * inner, classes).unwrap();
    let labels: Vec<u8> = (0..outer * inner).map(|i| (i % classes) as u8).collect();
    let weights = some_weights(classes);
    for (name, options) in option_sets(&weights) {
        for backend in Backend::all() {
            let loss = cross_entropy(backend, &options);
            let (mut a, mut b) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let c = loss.gradient(rows, &labels[..], Reduction::Mean, &mut a).unwrap();
            let d = loss.gradient(want, &labels[..], Reduction::Mean, &mut b).unwrap();
            let what = || format!("{backend:?}, {name}");
            assert_same_bits(&a, &b, &what);
            assert_same_totals(c, d, &what);
            let binary = BinaryCrossEntropy::new().backend(backend).focal(2.0);
            binary.gradient(rows, rows, Reduction::Mean, &mut a).unwrap();
            binary.gradient(want, want, Reduction::Mean, &mut b).unwrap();
            assert_same_bits(&a, &b, &what);
        }
    }
}

#[test]
fn a_gradient_of_many_chunks_has_the_total_of_the_losses() {
    let (n_rows, classes) = (2500, 7);
    let mut random = Random::new(9);
    let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 8.0).collect();
    let labels: Vec<i32> = (0..n_rows).map(|_| random.below(classes) as i32 - 1).collect();
    let rows = Rows::new(&x, n_rows, classes).unwrap();
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).ignore(-1).label_smoothing(0.1);
        let (mut whole, mut parts) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let total = loss.gradient(rows, &labels[..], Reduction::Mean, &mut whole).unwrap();
        assert_same_totals(total, loss.total(rows, &labels[..]).unwrap(), &|| "labels".into());
        let factor = loss.gradient_factor(&labels[..], n_rows, Reduction::Mean).unwrap();
        assert_eq!(factor, f64::from((1.0 / total.weight()) as f32));
        let mut merged = LossTotal::EMPTY;
        for (i, labels) in labels.chunks(LossTotal::CHUNK_ROWS).enumerate() {
            let start = i * LossTotal::CHUNK_ROWS;
            let rows = rows.range(start..start + labels.len());
            let out = &mut parts[start * classes..][..labels.len() * classes];
            merged = merged.merge(loss.gradient(rows, labels, factor, out).unwrap());
        }
        assert_same_totals(merged, total, &|| "chunks merged in order".into());
        assert_same_bits(&parts, &whole, &|| format!("{backend:?}, by chunks"));
        let binary = BinaryCrossEntropy::new().backend(backend);
        let total = binary.gradient(rows, rows, Reduction::Mean, &mut whole).unwrap();
        assert_same_totals(total, binary.total(rows, rows).unwrap(), &|| "binary".into());
        assert_eq!(total.count(), (n_rows * classes) as u64);
    }
}

#[track_caller]
fn assert_bits(got: f32, want: f32) {
    assert_eq!(got.to_bits(), want.to_bits(), "{got:e} for {want:e}");
}

#[track_caller]
fn assert_all(out: &[f32], want: f32) {
    out.iter().for_each(|&x| assert_bits(x, want));
}

/// One row through every path: short and long, alone and in a group.
fn rows_like(row: &[f32]) -> Vec<Vec<f32>> {
    [0, 4, 29, 33, 1100]
        .into_iter()
        .map(|n_masked| {
            let mut x = row.to_vec();
            x.extend(std::iter::repeat_n(f32::NEG_INFINITY, n_masked));
            x
        })
        .collect()
}

#[test]
fn an_ignored_row_counts_nothing_whatever_it_holds() {
    for hidden in [NAN, INF, f32::NEG_INFINITY] {
        for classes in [2, 9, 40, 1100] {
            let mut x = vec![hidden; 3 * classes];
            x[classes..2 * classes].fill(0.5);
            let rows = Rows::new(&x, 3, classes).unwrap();
            let weights = vec![2.0; classes];
            let labels = [-100_i64, 1, -100];
            for (name, options) in option_sets(&weights) {
                let options = Options { sample_weight: 1.0, ..options };
                for backend in Backend::all() {
                    let logits = cross_entropy(backend, &options).ignore(-100);
                    check_ignored(logits, rows, &labels, name);
                    for normalize in [false, true] {
                        let options = Options { normalize, ..options };
                        let probs = clipped(backend, &options).ignore(-100);
                        check_ignored(probs, rows, &labels, name);
                    }
                }
            }
        }
    }
}

fn check_ignored<L: ClassLoss>(loss: L, rows: Rows<'_>, labels: &[i64], name: &str) {
    let classes = rows.classes();
    let (mut losses, mut gradient) = ([7.0; 3], vec![7.0; 3 * classes]);
    let targets = Targets::labels(labels);
    loss.rows(rows, targets, &mut losses).unwrap();
    let total = loss.gradient(rows, targets, Reduction::Mean.into(), &mut gradient).unwrap();
    assert_eq!(total.count(), 1, "{name}");
    assert_bits(losses[0], 0.0);
    assert_bits(losses[2], 0.0);
    assert_eq!(total.sum(), f64::from(losses[1]), "{name}");
    assert!(losses[1].is_finite(), "{name}: {losses:?}");
    assert_all(&gradient[..classes], 0.0);
    assert_all(&gradient[2 * classes..], 0.0);
    assert!(gradient.iter().all(|x| x.is_finite()), "{name}");
}

/// Found by fuzzing, in the reference.
#[test]
fn a_positive_of_pos_weight_0_costs_nothing_under_a_nan() {
    let options = BinaryOptions { pos_weight: 0.0, focal_gamma: 2.0, ..BinaryOptions::default() };
    assert_eq!(reference::clipped_binary_cross_entropy_with(NAN, 1.0, &options), 0.0);
    assert_eq!(reference::binary_cross_entropy_with(NAN, 1.0, &options), 0.0);
    for backend in Backend::all() {
        let mut out = [1.0; 2];
        let (clipped, logits) = (clipped_binary(backend, &options), binary(backend, &options));
        clipped.pos_weights(&[0.0]).row(&[NAN], &[1.0], &mut out[..1]).unwrap();
        logits.pos_weights(&[0.0]).row(&[NAN], &[1.0], &mut out[1..]).unwrap();
        assert_eq!(out, [0.0; 2], "{backend:?}");
        let (x, y) = (Rows::new(&[NAN], 1, 1).unwrap(), Rows::new(&[1.0], 1, 1).unwrap());
        let loss = clipped.pos_weights(&[0.0]);
        loss.gradient(x, y, 1.0, &mut out[..1]).unwrap();
        assert_eq!(out[0], 0.0, "{backend:?}");
    }
    assert_eq!(reference::clipped_binary_cross_entropy_gradient(NAN, 1.0, &options), 0.0);
}

#[test]
fn what_has_weight_0_is_absent_also_under_nan_and_infinities() {
    for backend in Backend::all() {
        for hidden in [NAN, INF, f32::NEG_INFINITY] {
            for classes in [2, 9, 40, 1100] {
                let mut x = vec![0.5; 2 * classes];
                x[1] = hidden;
                let rows = Rows::new(&x, 2, classes).unwrap();
                let y = vec![1.0 / classes as f32; 2 * classes];
                let y = Rows::new(&y, 2, classes).unwrap();
                let weights = vec![1.0; classes];
                for (name, options) in option_sets(&weights) {
                    for targets in [Targets::labels(&[0, 0]), y.into()] {
                        let targets = targets.with_sample_weights(&[0.0, 3.0]);
                        let what = format!("{backend:?}, {hidden}, {classes}, {name}");
                        check_absent(cross_entropy(backend, &options), rows, targets, &what);
                        for normalize in [false, true] {
                            let options = Options { normalize, ..options };
                            check_absent(clipped(backend, &options), rows, targets, &what);
                        }
                    }
                }
            }
        }
    }
}

/// The first of two rows has weight 0.
fn check_absent<L: ClassLoss>(loss: L, rows: Rows<'_>, targets: Targets<'_>, what: &str) {
    let classes = rows.classes();
    let (mut losses, mut gradient) = ([7.0; 2], vec![7.0; 2 * classes]);
    loss.rows(rows, targets, &mut losses).unwrap();
    assert_bits(losses[0], 0.0);
    assert!(losses[1].is_finite() && losses[1] >= 0.0, "{what}: {losses:?}");
    for scale in [Reduction::Sum, Reduction::Mean, Reduction::MeanCount] {
        let total = loss.gradient(rows, targets, scale.into(), &mut gradient).unwrap();
        assert_eq!(total.count(), 2, "{what}");
        assert_all(&gradient[..classes], 0.0);
        assert!(gradient.iter().all(|x| x.is_finite()), "{what}");
    }
}

#[test]
fn a_class_of_weight_0_is_absent_also_where_its_term_is_infinite() {
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).class_weights(&[1.0, 0.0, 1.0]);
        let x = [1.0, f32::NEG_INFINITY, 1.0];
        assert_eq!(loss.row(&x, &[0.5, 0.5, 0.0]), Ok(0.5 * 2_f32.ln()));
        assert_eq!(loss.row(&x, 1), Ok(0.0));
        // A label of weight 0 takes its row with it, in every path; a z-loss is still there.
        for loss in [loss, loss.temperature(2.0), loss.soft_cap(30.0), loss.focal(2.0)] {
            for special in [NAN, INF] {
                let (x, mut gradient) = ([1.0, 2.0, special], [7.0; 3]);
                assert_eq!(loss.row(&x, 1), Ok(0.0));
                assert_eq!(loss.row_gradient(&x, 1, &mut gradient), Ok(0.0));
                assert_all(&gradient, 0.0);
                let nan = loss.z_loss(0.1).row_gradient(&x, 1, &mut gradient).unwrap();
                if special.is_nan() || loss.row(&x, 0).unwrap().is_nan() {
                    assert_bits(nan, NAN);
                    assert_all(&gradient, NAN);
                }
            }
        }
        let clipped = ClippedCrossEntropy::new().backend(backend).clip(0.0, 1.0);
        let clipped = clipped.class_weights(&[1.0, 0.0]);
        for hidden in [NAN, 0.0, INF] {
            let (x, mut gradient) = ([0.5, hidden], [7.0; 2]);
            assert_eq!(clipped.row(&x, 1), Ok(0.0));
            assert_eq!(clipped.row(&x, &[1.0, 1.0]), Ok(2_f32.ln()), "{hidden}");
            assert_eq!(clipped.row_gradient(&x, &[1.0, 1.0], &mut gradient), Ok(2_f32.ln()));
            assert_eq!(gradient, [-2.0, 0.0], "{hidden}");
            assert_eq!(clipped.label_smoothing(1.0).row(&x, 1), Ok(0.5 * 2_f32.ln()));
        }
        // Under a weight that is not 0 a NaN shows, also where the target is 0.
        let shown = clipped.class_weights(&[1.0, 2.0]);
        assert_bits(shown.row(&[0.5, NAN], &[1.0, 0.0]).unwrap(), NAN);
        let mut gradient = [7.0; 2];
        assert_bits(shown.row_gradient(&[0.5, NAN], &[1.0, 0.0], &mut gradient).unwrap(), NAN);
    }
}

#[test]
fn a_pos_weight_of_0_leaves_the_positive_term_out() {
    for backend in Backend::all() {
        let (a, b) = (BinaryCrossEntropy::new(), ClippedBinaryCrossEntropy::new().clip(0.0, 1.0));
        let (a, b) =
            (a.backend(backend).pos_weights(&[0.0]), b.backend(backend).pos_weights(&[0.0]));
        let one = Rows::new(&[1.0], 1, 1).unwrap();
        for gamma in [0.0, 2.0, 0.7] {
            for hidden in [f32::NEG_INFINITY, INF, -1e30, 3.0] {
                let (x, mut out) = (Rows::new(std::slice::from_ref(&hidden), 1, 1).unwrap(), [7.0]);
                a.focal(gamma).rows(x, one, &mut out).unwrap();
                assert_bits(out[0], 0.0);
                a.focal(gamma).gradient(x, one, 1.0, &mut out).unwrap();
                assert_eq!(out[0], 0.0, "{hidden}, {gamma}");
            }
            for hidden in [0.0, 1.0, 0.3] {
                let (p, mut out) = (Rows::new(std::slice::from_ref(&hidden), 1, 1).unwrap(), [7.0]);
                b.focal(gamma).rows(p, one, &mut out).unwrap();
                assert_bits(out[0], 0.0);
                b.focal(gamma).gradient(p, one, 1.0, &mut out).unwrap();
                assert_eq!(out[0], 0.0, "{hidden}, {gamma}");
            }
        }
    }
}

#[test]
fn a_row_without_a_loss_has_the_canonical_nan_in_every_element_of_its_gradient() {
    let nan = f32::from_bits(0xffc0_1234);
    let weights = vec![1.5; 2000];
    for row in [[nan, 1.0, 2.0], [1.0, 2.0, nan], [1.0, INF, 2.0], [f32::NEG_INFINITY; 3]] {
        for x in rows_like(&row) {
            let y = vec![0.5; x.len()];
            for (name, options) in option_sets(&weights[..x.len()]) {
                // The cap makes finite what was infinite.
                if options.soft_cap < INF && !x.iter().any(|x| x.is_nan()) {
                    continue;
                }
                for target in [Target::Label(1), Target::Distribution(&y)] {
                    for backend in Backend::all() {
                        let loss = cross_entropy(backend, &options);
                        let mut gradient = vec![7.0; x.len()];
                        let what = || format!("{backend:?}, {row:?}, {name}, {target:?}");
                        let got = loss.row_gradient(&x, target, &mut gradient).unwrap();
                        assert_same_bits(&[got, loss.row(&x, target).unwrap()], &[NAN; 2], &what);
                        assert_same_bits(&gradient, &vec![NAN; x.len()], &what);
                    }
                }
            }
        }
    }
    // Probabilities: a normalised row whose sum is no divisor.
    for p in [[nan, 1.0], [0.0, 0.0], [INF, 1.0], [1.0, -1.0]] {
        for backend in Backend::all() {
            let loss = ClippedCrossEntropy::new().backend(backend).normalize(true).focal(1.5);
            for target in [Target::Label(1), Target::Distribution(&[0.5, 0.5])] {
                let mut gradient = [7.0; 2];
                assert_bits(loss.row_gradient(&p, target, &mut gradient).unwrap(), NAN);
                assert_all(&gradient, NAN);
            }
        }
    }
}

#[test]
fn the_gradient_of_a_label_on_a_masked_class_is_minus_1_there_and_p_elsewhere() {
    for x in rows_like(&[1.0, f32::NEG_INFINITY, 1.0]) {
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            for loss in [loss, loss.temperature(3.0), loss.focal(2.0), loss.focal(0.5)] {
                let mut gradient = vec![7.0; x.len()];
                assert_eq!(loss.row_gradient(&x, 1, &mut gradient), Ok(INF));
                assert_eq!(
                    gradient[1],
                    -1.0 / if loss.row(&[3.0, 0.0], 1).unwrap() < 2.0 { 3.0 } else { 1.0 }
                );
                let p = gradient[1].abs() * 0.5;
                assert_eq!((gradient[0], gradient[2]), (p, p));
                assert_all(&gradient[3..], 0.0);
            }
        }
    }
}

#[test]
fn smoothing_with_a_masked_class_costs_infinity_and_its_gradient_is_finite() {
    for x in rows_like(&[1.0, 2.0, f32::NEG_INFINITY]) {
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend).label_smoothing(0.1);
            let mut gradient = vec![7.0; x.len()];
            assert_eq!(loss.row_gradient(&x, 1, &mut gradient), Ok(INF));
            let share = 0.1 / x.len() as f32;
            assert!((gradient[2] + share).abs() < 1e-6 * share, "{}", gradient[2]);
            let sum: f64 = gradient.iter().map(|&x| f64::from(x)).sum();
            assert!(sum.abs() < 3e-6, "{backend:?}: the gradient sums to {sum:e}");
            // What does not count costs nothing.
            let mut weights = vec![0.0; x.len()];
            weights[..2].fill(1.0);
            assert!(loss.class_weights(&weights).row(&x, 1).unwrap().is_finite());
        }
    }
}

#[test]
fn focal_losses_of_what_is_certain_are_0() {
    let mut gradient = [7.0; 2];
    for backend in Backend::all() {
        for gamma in [0.3, 1.0, 2.0, 5.0] {
            let loss = CrossEntropy::new().backend(backend).focal(gamma);
            for x in [[0.0, f32::NEG_INFINITY], [200.0, 0.0], [3e38, -3e38]] {
                for target in [Target::Label(0), Target::Distribution(&[1.0, 0.0])] {
                    assert_bits(loss.row_gradient(&x, target, &mut gradient).unwrap(), 0.0);
                    assert_eq!(gradient, [0.0; 2], "{backend:?}, {x:?}, {gamma}");
                }
            }
            let clipped = ClippedCrossEntropy::new().backend(backend).clip(0.0, 1.0).focal(gamma);
            for clipped in [clipped, clipped.normalize(true)] {
                for target in [Target::Label(0), Target::Distribution(&[1.0, 0.0])] {
                    let loss = clipped.row_gradient(&[1.0, 0.0], target, &mut gradient).unwrap();
                    assert_bits(loss, 0.0);
                    assert_eq!(gradient, [0.0; 2], "{backend:?}, {gamma}");
                }
            }
            let x = Rows::new(&[INF, f32::NEG_INFINITY, 300.0], 1, 3).unwrap();
            let p = Rows::new(&[1.0, 0.0, 1.0], 1, 3).unwrap();
            let y = Rows::new(&[1.0, 0.0, 1.0], 1, 3).unwrap();
            let (binary, mut out) =
                (BinaryCrossEntropy::new().backend(backend).focal(gamma), [7.0; 3]);
            binary.rows(x, y, &mut out).unwrap();
            assert_all(&out, 0.0);
            binary.gradient(x, y, 1.0, &mut out).unwrap();
            assert_eq!(out, [0.0; 3]);
            let binary =
                ClippedBinaryCrossEntropy::new().backend(backend).focal(gamma).clip(0.0, 1.0);
            binary.rows(p, y, &mut out).unwrap();
            assert_all(&out, 0.0);
            binary.gradient(p, y, 1.0, &mut out).unwrap();
            assert_eq!(out, [0.0; 3]);
        }
    }
}

#[test]
fn binary_losses_and_gradients_of_infinite_logits_with_every_option() {
    let x = Rows::new(&[INF, INF, f32::NEG_INFINITY, f32::NEG_INFINITY, INF, 1e38], 1, 6).unwrap();
    let y = Rows::new(&[1.0, 0.0, 1.0, 0.0, 0.25, 0.0], 1, 6).unwrap();
    let (mut losses, mut gradient) = ([7.0; 6], [7.0; 6]);
    for backend in Backend::all() {
        for gamma in [0.0, 1.0, 2.0, 0.4] {
            let loss = BinaryCrossEntropy::new().backend(backend).focal(gamma);
            loss.rows(x, y, &mut losses).unwrap();
            loss.gradient(x, y, 1.0, &mut gradient).unwrap();
            assert_eq!(losses[..5], [0.0, INF, INF, 0.0, INF], "{gamma}");
            assert_eq!(losses[5], 1e38);
            assert_eq!(gradient[..4], [0.0, 1.0, -1.0, 0.0], "{gamma}");
            let want = 0.75 * 0.75_f32.powf(gamma);
            assert!((gradient[4] - want).abs() < 1e-6, "{gamma}: {}", gradient[4]);
            assert_eq!(gradient[5], 1.0, "{gamma}");
            // Capped, there is no infinite logit any more; the cap is flat there.
            loss.soft_cap(3.0).rows(x, y, &mut losses).unwrap();
            assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
            loss.soft_cap(3.0).gradient(x, y, 1.0, &mut gradient).unwrap();
            assert!(gradient.iter().all(|&x| x == 0.0), "{gradient:?}");
            for nan in [0x7f80_0001, 0xffc0_0001, 0xffff_ffff].map(f32::from_bits) {
                let (a, b) = ([nan, 0.0], [0.5, nan]);
                let (a, b) = (Rows::new(&a, 1, 2).unwrap(), Rows::new(&b, 1, 2).unwrap());
                for (name, options) in binary_option_sets() {
                    let options = BinaryOptions { focal_gamma: gamma, ..options };
                    let (mut a_out, mut b_out) = ([7.0; 2], [7.0; 2]);
                    let loss = binary(backend, &options);
                    loss.rows(a, b, &mut a_out).unwrap();
                    loss.gradient(a, b, 1.0, &mut b_out).unwrap();
                    assert_same_bits(&a_out, &[NAN; 2], &|| format!("{backend:?}, {name}"));
                    assert_same_bits(&b_out, &[NAN; 2], &|| format!("{backend:?}, {name}"));
                    let loss = clipped_binary(backend, &options);
                    loss.rows(a, b, &mut a_out).unwrap();
                    loss.gradient(a, b, 1.0, &mut b_out).unwrap();
                    assert_same_bits(&a_out, &[NAN; 2], &|| {
                        format!("{backend:?}, clipped, {name}")
                    });
                    assert_bits(b_out[0], NAN);
                }
            }
        }
    }
}

#[test]
fn a_clip_that_is_active_has_a_gradient_of_0_and_its_ends_have_one() {
    let below = f32::from_bits(0.25_f32.to_bits() - 1);
    let above = f32::from_bits(0.75_f32.to_bits() + 1);
    for backend in Backend::all() {
        let loss = ClippedCrossEntropy::new().backend(backend).clip(0.25, 0.75);
        let binary = ClippedBinaryCrossEntropy::new().backend(backend).clip(0.25, 0.75);
        for gamma in [0.0, 2.0] {
            for (p, inside) in [
                (below, false),
                (0.25, true),
                (0.75, true),
                (above, false),
                (0.0, false),
                (1.0, false),
                (-3.0, false),
                (INF, false),
            ] {
                let mut gradient = [7.0; 2];
                for target in [Target::Label(0), Target::Distribution(&[1.0, 0.0])] {
                    loss.focal(gamma).row_gradient(&[p, 0.5], target, &mut gradient).unwrap();
                    assert_eq!(gradient[0] != 0.0, inside, "{backend:?}, {p}, {gradient:?}");
                    assert_bits(gradient[1], 0.0);
                }
                let (p, y) = ([p], [1.0]);
                let (p, y) = (Rows::new(&p, 1, 1).unwrap(), Rows::new(&y, 1, 1).unwrap());
                binary.focal(gamma).gradient(p, y, 1.0, &mut gradient[..1]).unwrap();
                assert_eq!(gradient[0] != 0.0, inside, "{backend:?}, {p:?}, {gradient:?}");
            }
        }
        // On a pole the gradient is infinite, and where nothing is clipped it is -y / p.
        let open = loss.clip(0.0, 1.0);
        let mut gradient = [7.0; 2];
        open.row_gradient(&[0.0, 1.0], 0, &mut gradient).unwrap();
        assert_eq!(gradient, [f32::NEG_INFINITY, 0.0]);
        open.row_gradient(&[0.25, 0.5], &[0.5, 0.25], &mut gradient).unwrap();
        assert_eq!(gradient, [-2.0, -0.5]);
        // All clipped: no class has a slope, also of a row so small that 1 / sum overflows.
        for p in [[1e-3, 1e-3], [1e-42, 1e-42]] {
            let clipped = loss.normalize(true).clip(0.6, 0.7);
            for target in [Target::Label(0), Target::Distribution(&[0.5, 0.5])] {
                clipped.row_gradient(&p, target, &mut gradient).unwrap();
                assert_eq!(gradient, [0.0, 0.0], "{backend:?}, {p:?}");
            }
        }
    }
}

#[test]
fn a_gradient_of_a_mean_over_nothing_is_all_zeros() {
    let x = [1.0, 2.0, NAN, 4.0, f32::NEG_INFINITY, INF];
    let rows = Rows::new(&x, 2, 3).unwrap();
    for backend in Backend::all() {
        for (name, options) in option_sets(&[0.0, 0.0, 0.0]) {
            let (mut gradient, zeros) = ([7.0; 6], [0.0; 2]);
            let check = |total: LossTotal, gradient: &[f32], count: u64| {
                assert!(total.mean().is_nan(), "{name}");
                assert_eq!(total.count(), count);
                assert!(gradient.iter().all(|&x| x == 0.0), "{backend:?}, {name}: {gradient:?}");
            };
            let loss = cross_entropy(backend, &options).ignore(7);
            let none = Targets::labels(&[7, 7]);
            for targets in [none, none.with_sample_weights(&[1.0, 2.0])] {
                for reduction in [Reduction::Mean, Reduction::MeanCount, Reduction::Sum] {
                    let total = loss.gradient(rows, targets, reduction, &mut gradient).unwrap();
                    check(total, &gradient, 0);
                }
                assert!(loss.total(rows, targets).unwrap().mean_count().is_nan());
                assert_eq!(loss.gradient_factor(targets, 2, Reduction::Mean), Ok(0.0));
            }
            let targets = Targets::labels(&[0, 1]);
            let total = loss
                .gradient(rows, targets.with_sample_weights(&zeros), Reduction::Mean, &mut gradient)
                .unwrap();
            check(total, &gradient, 2);
            let loss = loss.class_weights(&[0.0; 3]);
            for loss in [loss, loss.z_loss(0.1)] {
                let total = loss.gradient(rows, targets, Reduction::Mean, &mut gradient).unwrap();
                check(total, &gradient, 2);
            }
            let clipped = clipped(backend, &Options { normalize: true, ..options });
            let clipped = clipped.class_weights(&[0.0; 3]);
            let total = clipped.gradient(rows, targets, Reduction::Mean, &mut gradient).unwrap();
            check(total, &gradient, 2);
        }
        let (binary, mut gradient) = (BinaryCrossEntropy::new().backend(backend), [7.0; 6]);
        let targets = BinaryTargets::new(rows).with_sample_weights(&[0.0; 2]);
        let total = binary.gradient(rows, targets, Reduction::Mean, &mut gradient).unwrap();
        assert!(total.mean().is_nan() && total.count() == 6);
        assert_all(&gradient, 0.0);
    }
}

#[test]
fn z_loss_is_added_after_class_weights_and_before_the_sample_weight() {
    for x in rows_like(&[1.0, 3.0, 2.0]) {
        let weights: Vec<f32> = (0..x.len()).map(|c| if c == 2 { 0.0 } else { 2.0 }).collect();
        for backend in Backend::all() {
            let plain = CrossEntropy::new().backend(backend);
            let lse = f64::from(backend.log_sum_exp(&x));
            let z = plain.class_weights(&weights).z_loss(0.01);
            let near =
                |got: f64, want: f64| assert!((got - want).abs() < 1e-6 * want, "{got}, {want}");
            near(f64::from(z.row(&x, 2).unwrap()), 0.01 * lse * lse);
            let loss = f64::from(plain.row(&x, 0).unwrap());
            near(f64::from(z.row(&x, 0).unwrap()), 2.0 * loss + 0.01 * lse * lse);
            let rows = Rows::new(&x, 1, x.len()).unwrap();
            let targets = Targets::labels(&[2]).with_sample_weights(&[3.0]);
            let total = z.total(rows, targets).unwrap();
            near(total.sum(), 0.03 * lse * lse);
            assert_eq!((total.weight(), total.count()), (0.0, 1));
            // Of logits that are lowered and divided: the lse of the quotients.
            let z = plain.temperature(0.5).z_loss(0.01).class_weights(&weights);
            let twice: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
            let lse = f64::from(backend.log_sum_exp(&twice));
            near(f64::from(z.row(&x, 2).unwrap()), 0.01 * lse * lse);
        }
    }
}

#[test]
fn a_label_of_weight_0_takes_its_row_with_it_also_of_many_transformed_classes() {
    let mut weights = [1.0; 40];
    weights[7] = 0.0;
    let mut x = [0.5; 40];
    (x[3], x[9]) = (f32::NAN, f32::INFINITY);
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).class_weights(&weights);
        for loss in [loss, loss.temperature(2.0), loss.soft_cap(30.0).focal_alpha(0.25)] {
            let mut gradient = [7.0; 40];
            assert_eq!(loss.row_gradient(&x, 7, &mut gradient), Ok(0.0), "{loss:?}");
            assert_eq!(gradient, [0.0; 40], "{loss:?}");
        }
    }
}

#[test]
fn a_factor_of_0_leaves_no_gradient_whatever_the_rows_hold() {
    for classes in [3, 40, 1500] {
        let mut x = vec![0.5; 4 * classes];
        (x[1], x[classes + 2]) = (2.0, f32::NAN);
        (x[2 * classes], x[3 * classes + 1]) = (INF, f32::NEG_INFINITY);
        let rows = Rows::new(&x, 4, classes).unwrap();
        let mut y = vec![1.0 / classes as f32; 4 * classes];
        y[0] = INF;
        let y = Targets::distributions(Rows::new(&y, 4, classes).unwrap());
        let targets = [Targets::labels(&[1, 0, 0, 1]), y];
        for backend in Backend::all() {
            let (loss, clipped) = (CrossEntropy::new(), ClippedCrossEntropy::new());
            let (loss, clipped) = (loss.backend(backend), clipped.backend(backend));
            let mut gradient = vec![7.0; x.len()];
            for targets in targets {
                for loss in [loss, loss.temperature(2.0), loss.soft_cap(30.0).label_smoothing(0.1)]
                {
                    loss.gradient(rows, targets, 0.0, &mut gradient).unwrap();
                    assert!(gradient.iter().all(|&g| g == 0.0), "{loss:?}, {classes}");
                    gradient.fill(7.0);
                }
                for loss in [clipped, clipped.normalize(true), clipped.label_smoothing(0.1)] {
                    loss.gradient(rows, targets, 0.0, &mut gradient).unwrap();
                    assert!(gradient.iter().all(|&g| g == 0.0), "{loss:?}, {classes}");
                    gradient.fill(7.0);
                }
            }
        }
    }
}

#[test]
fn a_transform_of_many_classes_that_lie_apart_changes_no_bit() {
    let (classes, n_rows) = (1500, 3);
    let mut random = Random::new(1500);
    let x: Vec<f32> = (0..n_rows * classes).map(|_| (random.unit() - 0.5) * 40.0).collect();
    let mut apart = x.clone();
    for (i, &x) in x.iter().enumerate() {
        apart[i % classes * n_rows + i / classes] = x;
    }
    let apart = Rows::channels_first(&apart, 1, classes, n_rows).unwrap();
    let labels = [0, 1200, 1499];
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        for loss in [loss.temperature(2.0), loss.soft_cap(30.0), loss.temperature(0.5).z_loss(0.1)]
        {
            for loss in [loss, loss.label_smoothing(0.1)] {
                let mut losses = [f32::NAN; 3];
                loss.rows(apart, &labels, &mut losses).unwrap();
                let alone =
                    x.chunks(classes).zip(labels).map(|(x, label)| loss.row(x, label).unwrap());
                let alone: Vec<f32> = alone.collect();
                assert_same_bits(&losses, &alone, &|| format!("{loss:?}"));
            }
        }
    }
}

#[test]
fn a_pushed_loss_of_weight_0_counts_but_adds_nothing() {
    let mut total = LossTotal::EMPTY;
    for (loss, weight) in [(f32::INFINITY, 0.0), (2.0, 1.5), (f32::NAN, 0.0)] {
        total.push(loss, weight);
    }
    assert_eq!((total.sum(), total.weight(), total.count()), (3.0, 1.5, 3));
}

#[test]
fn the_denominators_of_means() {
    let x = [0.0; 8];
    let rows = Rows::new(&x, 4, 2).unwrap();
    let ln_2 = f64::from(2_f32.ln());
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).ignore(-1).class_weights(&[1.0, 3.0]);
        // Weights of the labels: 3 + 1 + 3, one row ignored.
        let total = loss.total(rows, &[1, 0, -1, 1]).unwrap();
        assert_eq!((total.weight(), total.count()), (7.0, 3));
        assert!((total.mean() - ln_2).abs() < 1e-7);
        assert!((total.mean_count() - 7.0 / 3.0 * ln_2).abs() < 1e-6);
        // Times sample weights; a row of weight 0 is counted.
        let targets = Targets::labels(&[1, 0, -1, 1]).with_sample_weights(&[0.5, 2.0, 9.0, 0.0]);
        let total = loss.total(rows, targets).unwrap();
        assert_eq!((total.weight(), total.count()), (3.5, 3));
        assert!((total.mean() - ln_2).abs() < 1e-7);
        // With smoothing the weight is still that of the label; alpha and z-loss are in no weight.
        for loss in
            [loss.label_smoothing(0.3), loss.focal_alpha(0.25), loss.z_loss(0.1), loss.focal(2.0)]
        {
            assert_eq!(loss.total(rows, targets).unwrap().weight(), 3.5);
        }
        // Of distributions 1, whatever the class weights.
        let y = Rows::new(&[0.5; 8], 4, 2).unwrap();
        let total = loss.total(rows, y).unwrap();
        assert_eq!((total.weight(), total.count()), (4.0, 4));
        assert!((total.mean() - 2.0 * ln_2).abs() < 1e-6);
        // Binary: the sample weight of the row for each element; pos_weights are in none.
        let binary = BinaryCrossEntropy::new().backend(backend).pos_weights(&[5.0, 1.0]);
        let targets = BinaryTargets::new(y).with_sample_weights(&[1.0, 0.0, 2.0, 0.5]);
        let total = binary.total(rows, targets).unwrap();
        assert_eq!((total.weight(), total.count()), (7.0, 8));
        let clipped = ClippedBinaryCrossEntropy::new().backend(backend);
        assert_eq!(clipped.total(rows, targets).unwrap().weight(), 7.0);
        // The factor of each reduction, and what it does to a gradient.
        let targets = Targets::labels(&[1, 0, -1, 1]).with_sample_weights(&[0.5, 2.0, 9.0, 0.0]);
        let mut sum = [0.0; 8];
        loss.gradient(rows, targets, Reduction::Sum, &mut sum).unwrap();
        assert_eq!(sum, [0.75, -0.75, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        for (reduction, factor) in
            [(Reduction::Sum, 1.0), (Reduction::Mean, 1.0 / 3.5), (Reduction::MeanCount, 1.0 / 3.0)]
        {
            let got = loss.gradient_factor(targets, 4, reduction).unwrap();
            assert_eq!(got as f32, factor as f32);
            let clipped = ClippedCrossEntropy::new().ignore(-1).class_weights(&[1.0, 3.0]);
            assert_eq!(clipped.gradient_factor(targets, 4, reduction), Ok(got));
            let mut gradient = [7.0; 8];
            loss.gradient(rows, targets, reduction, &mut gradient).unwrap();
            for (got, sum) in gradient.into_iter().zip(sum) {
                assert!((got - sum * factor as f32).abs() <= 2e-7 * got.abs());
            }
        }
        let targets = BinaryTargets::new(y).with_sample_weights(&[1.0, 0.0, 2.0, 0.5]);
        for (reduction, factor) in
            [(Reduction::Sum, 1.0), (Reduction::Mean, 1.0 / 7.0), (Reduction::MeanCount, 0.125)]
        {
            let got = binary.gradient_factor(targets, reduction).unwrap();
            assert_eq!(got as f32, factor as f32);
            assert_eq!(clipped.gradient_factor(targets, reduction), Ok(got));
            let mut gradient = [7.0; 8];
            binary.gradient(rows, targets, reduction, &mut gradient).unwrap();
            assert_eq!(gradient[0], -factor as f32);
            assert_eq!(gradient[2..4], [0.0, 0.0]);
        }
    }
}

#[test]
fn totals_of_parts_merge_into_the_total_of_all() {
    let mut random = Random::new(4);
    let x: Vec<f32> = (0..300).map(|_| random.unit() * 9.0).collect();
    let labels: Vec<i8> = (0..100).map(|_| random.below(4) as i8 - 1).collect();
    let weights: Vec<f32> = (0..100).map(|i| [1.0, 0.25, 0.0, 4.0][i % 4]).collect();
    let rows = Rows::new(&x, 100, 3).unwrap();
    let targets = Targets::labels(&labels).with_sample_weights(&weights);
    let loss = CrossEntropy::new().ignore(-1).class_weights(&[0.5, 1.0, 2.0]).z_loss(1e-3);
    let whole = loss.total(rows, targets).unwrap();
    for part in [1, 7, 32, 60] {
        let parts = (0..100).step_by(part).map(|start| {
            loss.total(rows.range(start..start + part), targets.range(start..start + part)).unwrap()
        });
        let merged = parts.fold(LossTotal::EMPTY, LossTotal::merge);
        assert_eq!((merged.weight(), merged.count()), (whole.weight(), whole.count()));
        assert!((merged.sum() - whole.sum()).abs() < 1e-12 * whole.sum());
    }
    assert_eq!(whole.count(), labels.iter().filter(|&&label| label != -1).count() as u64);
}

// What users of other libraries ran into.

#[test]
fn reported_all_rows_ignored_is_a_sum_of_0_and_a_mean_of_nan() {
    // pytorch 70348, 75181, 116349; burn 5568.
    let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    let loss = CrossEntropy::new().ignore(-100);
    let mut gradient = [7.0; 4];
    let total = loss.gradient(rows, &[-100, -100], Reduction::Mean, &mut gradient).unwrap();
    assert_eq!((total.sum(), total.weight(), total.count()), (0.0, 0.0, 0));
    assert!(total.mean().is_nan() && total.mean_count().is_nan());
    assert_eq!(total.reduce(Reduction::Sum), 0.0);
    assert_eq!(gradient, [0.0; 4]);
}

#[test]
fn reported_gradient_accumulation_needs_no_mean_of_means() {
    // transformers 35203: two batches with 3 and 1 rows that count.
    let x = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0, 5.0, 0.0, 6.0, 0.0];
    let (rows, labels) = (Rows::new(&x, 6, 2).unwrap(), [0, 0, 1, -100, -100, 1]);
    let loss = CrossEntropy::new().ignore(-100);
    let mut whole = [0.0; 12];
    let total = loss.gradient(rows, &labels, Reduction::Mean, &mut whole).unwrap();
    let factor = loss.gradient_factor(&labels, 6, Reduction::Mean).unwrap();
    let (mut parts, mut merged) = ([0.0; 12], LossTotal::EMPTY);
    for range in [0..3, 3..6] {
        let out = &mut parts[range.start * 2..range.end * 2];
        let targets = Targets::labels(&labels).range(range.clone());
        merged = merged.merge(loss.gradient(rows.range(range), targets, factor, out).unwrap());
    }
    assert_eq!((merged.mean() as f32, merged.count()), (total.mean() as f32, 4));
    assert_eq!(parts, whole);
}

#[test]
fn reported_a_target_of_0_on_a_masked_logit_has_loss_and_gradient() {
    // optax 896.
    let x = [1.0, f32::NEG_INFINITY, 1.0];
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        let mut gradient = [7.0; 3];
        assert_eq!(loss.row_gradient(&x, &[0.5, 0.0, 0.5], &mut gradient), Ok(2_f32.ln()));
        assert_eq!(gradient, [0.0; 3]);
        let got = loss.focal(2.0).row_gradient(&x, &[0.5, 0.0, 0.5], &mut gradient).unwrap();
        assert_eq!((got, gradient), (0.25 * 2_f32.ln(), [0.0; 3]));
    }
}

#[test]
fn reported_a_sum_over_many_rows_does_not_stop_growing() {
    // optax 1020: in bfloat16 a sum of ones ends at 256, in f32 at 2^24.
    let mut total = LossTotal::EMPTY;
    for _ in 0..(1 << 24) + 100 {
        total.push(1.0, 1.0);
    }
    assert_eq!((total.sum(), total.mean()), (16_777_316.0, 1.0));
    // And of classes: 2^25 terms of the size of the first.
    let x = vec![0.0_f32; 1 << 25];
    for backend in Backend::all() {
        let want = (25.0 * 2_f64.ln()) as f32;
        assert_eq!(backend.log_sum_exp(&x), want, "{backend:?}");
    }
}

#[test]
fn reported_a_whole_block_of_masked_logits_is_no_nan() {
    // flash-attention 1930: a tile of only -inf before the first finite logit.
    let mut x = vec![f32::NEG_INFINITY; 5000];
    x[4500] = 1.0;
    x[4900] = 1.0;
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        for loss in [loss, loss.temperature(1.5)] {
            let mut gradient = vec![7.0; x.len()];
            assert_eq!(loss.row_gradient(&x, 4500, &mut gradient), Ok(2_f32.ln()));
            assert!(gradient.iter().all(|x| x.is_finite()));
        }
        assert_eq!(backend.log_sum_exp(&x[..4000]), f32::NEG_INFINITY); // jax 6811, pytorch 31829
    }
}

#[test]
fn reported_labels_out_of_range_are_errors_also_beside_an_ignored_one() {
    // pytorch 106467, 117532; keras 23664; tensorflow 8484; -1 is no last class.
    let rows = Rows::new(&[0.0; 6], 2, 3).unwrap();
    for loss in
        [CrossEntropy::new(), CrossEntropy::new().ignore(-100), CrossEntropy::new().ignore(3)]
    {
        for label in [-1, 4, i64::MIN, i64::MAX] {
            let error = Error::LabelOutOfRange { row: 1, label, classes: 3 };
            common::calls::assert_class_error(loss, rows, Targets::labels(&[0, label]), error);
        }
    }
    // The ignored label is looked for first, be it a class or not.
    assert!(CrossEntropy::new().ignore(3).total(rows, &[0, 3]).is_ok());
    assert_eq!(CrossEntropy::new().ignore(1).total(rows, &[0, 1]).map(|t| t.count()), Ok(1));
    assert_eq!(CrossEntropy::new().ignore(255).total(rows, &[0_u8, 255]).map(|t| t.count()), Ok(1));
}

#[test]
fn reported_smoothing_with_ignored_rows_and_weights() {
    // pytorch 73205, 69339, 91383, 72056: every share is weighted by its class, the mean by labels.
    let x = [0.0, 1.0, 3.0, 5.0, 5.0, 5.0, 1.0, -1.0, 0.5];
    let rows = Rows::new(&x, 3, 3).unwrap();
    let weights = [0.5, 2.0, 1.5];
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).label_smoothing(0.2).ignore(-100);
        let total = loss.class_weights(&weights).total(rows, &[1, -100, 0]).unwrap();
        let mut want = 0.0;
        for (row, label) in [(0, 1), (2, 0)] {
            for (c, &weight) in weights.iter().enumerate() {
                let share = 0.2 / 3.0 + if c == label { 0.8 } else { 0.0 };
                let x = &x[row * 3..][..3];
                want += share * f64::from(weight) * reference::cross_entropy(x, c);
            }
        }
        assert!((total.sum() - want).abs() < 1e-6, "{} for {want}", total.sum());
        assert_eq!((total.weight(), total.count()), (2.5, 2));
    }
}

#[test]
fn reported_an_ignored_row_of_masked_logits_has_a_gradient_of_0() {
    // pytorch 11551.
    let rows = Rows::new(&[f32::NEG_INFINITY, f32::NEG_INFINITY, 1.0, 1.0], 2, 2).unwrap();
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).ignore(-100);
        for loss in [loss, loss.temperature(2.0), loss.label_smoothing(0.1), loss.z_loss(0.1)] {
            let mut gradient = [7.0; 4];
            let total = loss.gradient(rows, &[-100, 0], Reduction::Mean, &mut gradient).unwrap();
            assert_all(&gradient[..2], 0.0);
            assert!(gradient[2] < 0.0 || total.sum() > 0.0);
            assert!(total.mean().is_finite() && gradient.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn reported_a_common_offset_changes_no_bit_of_a_gradient() {
    // scipy 18295.
    let x: Vec<f32> = (0..100).map(|i| (i * 37 % 100) as f32 * 0.25).collect();
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        for loss in [loss, loss.temperature(3.0), loss.focal(1.5), loss.label_smoothing(0.1)] {
            for offset in [-2_097_152.0, -1e4, 65_536.0] {
                let moved: Vec<f32> = x.iter().map(|x| x + offset).collect();
                let (mut a, mut b) = (vec![7.0; 100], vec![7.0; 100]);
                let same = [
                    loss.row_gradient(&x, 30, &mut a).unwrap(),
                    loss.row_gradient(&moved, 30, &mut b).unwrap(),
                ];
                assert_bits(same[0], same[1]);
                assert_same_bits(&a, &b, &|| format!("{backend:?}, offset {offset}"));
            }
        }
    }
}

#[test]
fn reported_binary_losses_of_large_logits_are_no_log_of_0() {
    // candle 2561; CMSIS-DSP 151 for the logarithm near 1.
    for backend in Backend::all() {
        let loss = BinaryCrossEntropy::new().backend(backend);
        assert_eq!(loss.element(-200.0, 1.0), Ok(200.0));
        let (x, y) =
            (Rows::new(&[-200.0, 20.0], 1, 2).unwrap(), Rows::new(&[1.0, 1.0], 1, 2).unwrap());
        let (mut losses, mut gradient) = ([7.0; 2], [7.0; 2]);
        let focal = loss.focal(2.0);
        focal.rows(x, y, &mut losses).unwrap();
        focal.gradient(x, y, 1.0, &mut gradient).unwrap();
        assert_eq!((losses[0], gradient[0]), (200.0, -1.0));
        let q = (-20_f64).exp();
        assert!((f64::from(losses[1]) / (q * q * q) - 1.0).abs() < 1e-5);
        assert!((f64::from(gradient[1]) / (-3.0 * q * q * q) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn reported_from_logits_is_in_the_name() {
    // keras 17634, 6983; tensorflow 34221: the same numbers, two losses.
    let p = [0.1, 0.8, 0.1];
    assert_eq!(ClippedCrossEntropy::new().row(&p, 1), Ok(0.22314353));
    let as_logits = CrossEntropy::new().row(&p, 1).unwrap();
    assert!((as_logits - 0.6897266).abs() < 1e-7, "{as_logits}");
}

#[test]
fn reported_padding_leaks_into_no_sum() {
    // unsloth 10616, ml-cross-entropy 59: what stands behind a row is not in it.
    for n in (1..70).chain([127, 129, 1023, 1025]) {
        let mut data = vec![50.0; n + 40];
        data[..n].fill(1.0);
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            for loss in [loss, loss.temperature(2.0), loss.label_smoothing(0.5), loss.focal(0.0)] {
                let mut gradient = vec![7.0; n];
                let got = loss.row_gradient(&data[..n], 0, &mut gradient).unwrap();
                assert!((f64::from(got) - (n as f64).ln()).abs() < 1e-5, "{backend:?}, {n}: {got}");
                let sum: f64 = gradient.iter().map(|&x| f64::from(x)).sum();
                assert!(sum.abs() < 1e-5, "{backend:?}, {n}: the gradient sums to {sum}");
            }
        }
    }
}

#[test]
fn reported_the_weighted_mean_of_labels_and_of_distributions_divide_by_different_weights() {
    // PyTorch: by the weights of the labels, and by the number of rows.
    let rows = Rows::new(&[0.0, 1.0, 2.0, 0.0], 2, 2).unwrap();
    let loss = CrossEntropy::new().class_weights(&[1.0, 3.0]);
    let one_hot = Rows::new(&[0.0, 1.0, 1.0, 0.0], 2, 2).unwrap();
    let (labels, hot) = (loss.total(rows, &[1, 0]).unwrap(), loss.total(rows, one_hot).unwrap());
    assert!((labels.sum() - hot.sum()).abs() < 1e-6);
    assert_eq!((labels.weight(), hot.weight()), (4.0, 2.0));
}

#[test]
fn reported_empty_input_reads_nothing() {
    // CMSIS-DSP's arm_logsumexp_f32.
    let none = Rows::new(&[], 0, 5).unwrap();
    let labels: [u8; 0] = [];
    let total = CrossEntropy::new().gradient(none, &labels, Reduction::Mean, &mut []).unwrap();
    assert_eq!((total.sum(), total.count()), (0.0, 0));
    assert_eq!(Backend::detected().log_sum_exp(&[]), f32::NEG_INFINITY);
    let total = BinaryCrossEntropy::new().gradient(none, none, Reduction::Mean, &mut []).unwrap();
    assert_eq!(total.count(), 0);
    let empty = Rows::new(&[], 2, 0).unwrap();
    let error = Err(Error::EmptyClasses { n_rows: 2 });
    assert_eq!(CrossEntropy::new().gradient(empty, &[0, 0], 1.0, &mut []), error);
    assert_eq!(BinaryCrossEntropy::new().gradient(empty, empty, 1.0, &mut []), error);
}

#[test]
fn a_binary_element_whose_only_side_has_weight_0_is_absent() {
    let (x, y) = ([NAN, 1.0], [1.0, 0.0]);
    let rows = Rows::new(&x, 2, 1).unwrap();
    let targets = Rows::new(&y, 2, 1).unwrap();
    for backend in Backend::all() {
        for gamma in [0.0, 1.5, 2.0] {
            let loss = BinaryCrossEntropy::new().backend(backend).pos_weights(&[0.0]).focal(gamma);
            let (mut losses, mut gradient) = ([7.0; 2], [7.0; 2]);
            loss.rows(rows, targets, &mut losses).unwrap();
            loss.gradient(rows, targets, 1.0, &mut gradient).unwrap();
            assert_eq!((losses[0], gradient[0]), (0.0, 0.0), "{backend:?}, {gamma}");
            assert!(losses[1] > 0.0 && gradient[1] > 0.0, "{backend:?}, {gamma}");
        }
    }
}

#[test]
fn a_label_keeps_its_gradient_where_that_of_the_others_is_0() {
    // At lse = -1 / (2 z) the z-loss takes all of p_c away from the other classes.
    for (x, label) in [(vec![-1.0], 0), (vec![-1.0, -40.0], 1)] {
        for backend in Backend::all() {
            let mut gradient = vec![7.0; x.len()];
            let loss = CrossEntropy::new().backend(backend).z_loss(0.5);
            loss.row_gradient(&x, label, &mut gradient).unwrap();
            let want = if x.len() == 1 { vec![-1.0] } else { vec![0.0, -1.0] };
            assert_eq!(gradient, want, "{backend:?}, {x:?}");
        }
    }
}

#[test]
fn class_weights_of_1_change_no_gradient_of_a_nan_probability() {
    let (p, y) = ([0.2, NAN], [1.0, 0.0]);
    for weights in [None, Some(&[1.0, 1.0])] {
        let mut gradient = [7.0; 2];
        let mut loss = ClippedCrossEntropy::new();
        if let Some(weights) = weights {
            loss = loss.class_weights(weights);
        }
        assert!(loss.row_gradient(&p, &y, &mut gradient).unwrap().is_nan());
        assert!(gradient[0] == -5.0 && gradient[1].is_nan(), "{weights:?}: {gradient:?}");
    }
}

#[test]
fn a_smoothing_too_small_to_change_a_target_counts_in_every_layout() {
    // 1 - 1e-9 is 1, but the others cost 1e30 each. A row by itself, and two side by side.
    let row: Vec<f32> = (0..40).map(|class| if class == 0 { 0.0 } else { -1e30 }).collect();
    let target: Vec<f32> = (0..40).map(|class| if class == 0 { 1.0 } else { 0.0 }).collect();
    let apart = |row: &[f32]| row.iter().flat_map(|&x| [x; 2]).collect::<Vec<f32>>();
    let (x, y) = (apart(&row), apart(&target));
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).label_smoothing(1e-9);
        let alone = loss.row(&row, &target[..]).expect("a row and its target");
        assert!((alone - 9.75e20).abs() < 1e15, "{backend:?}: {alone:e}");
        let [x, y] =
            [&x, &y].map(|x| Rows::channels_first(x, 1, 40, 2).expect("40 classes of two"));
        let mut losses = [f32::NAN; 2];
        loss.rows(x, Targets::distributions(y), &mut losses).expect("two rows");
        assert_same_bits(&losses, &[alone; 2], &|| format!("{backend:?}"));
    }
}

#[test]
fn a_focal_alpha_of_0_leaves_every_row_out() {
    let x = [1.0, NAN];
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend).focal_alpha(0.0);
        let clipped = ClippedCrossEntropy::new().backend(backend).focal_alpha(0.0);
        for target in [Target::Label(0), Target::Distribution(&[1.0, 0.0])] {
            let mut gradient = [7.0; 2];
            assert_eq!(loss.row_gradient(&x, target, &mut gradient), Ok(0.0));
            assert_eq!(gradient, [0.0; 2]);
            gradient = [7.0; 2];
            assert_eq!(loss.row(&x, target), Ok(0.0));
            assert_eq!(clipped.row_gradient(&x, target, &mut gradient), Ok(0.0));
            assert_eq!(gradient, [0.0; 2]);
            assert_eq!(clipped.row(&x, target), Ok(0.0));
        }
    }
}
