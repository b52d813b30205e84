//! Lines over a logarithmic axis, as SVG.

use std::io;
use std::path::Path;

use plotters::prelude::*;

pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub series: Vec<Series>,
    /// Horizontal lines.
    pub limits: Vec<(String, f64)>,
}

/// Okabe and Ito's colours, which are told apart without seeing red or green, and two greys.
const COLOURS: [RGBColor; 9] = [
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
    RGBColor(170, 140, 60),
];

impl Chart {
    pub fn write(&self, path: &Path) -> io::Result<()> {
        self.draw(path).map_err(|error| io::Error::other(error.to_string()))
    }

    fn draw(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let heights = || points().map(|&(_, y)| y).chain(self.limits.iter().map(|&(_, y)| y));
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let (left, right) = (least(&mut points().map(|p| p.0)), most(&mut points().map(|p| p.0)));
        let (low, high) = (least(&mut heights()) / 1.2, most(&mut heights()) * 1.2);

        let root = SVGBackend::new(path, (960, 560)).into_drawing_area();
        root.fill(&WHITE)?;
        let (plot, legend) = root.split_horizontally(690);
        let number = |value: &f64| {
            if *value >= 1e4 { format!("{value:.0e}") } else { format!("{value}") }
        };
        let mut chart = ChartBuilder::on(&plot)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .light_line_style(WHITE)
            .draw()?;

        let mut y = 50;
        let mut entry = |name: &str, style: ShapeStyle| {
            y += 22;
            legend.draw(&PathElement::new([(0, y), (22, y)], style))?;
            legend.draw(&Text::new(name.to_string(), (30, y - 7), ("sans-serif", 14)))
        };
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(series.points.iter().copied(), style).point_size(3))?;
            entry(&series.name, style)?;
        }
        for ((name, y), colour) in self.limits.iter().zip(COLOURS.iter().rev().cycle()) {
            let style = colour.stroke_width(1);
            let ends = [(left, *y), (right, *y)];
            chart.draw_series(DashedLineSeries::new(ends, 6, 4, style))?;
            entry(name, style)?;
        }
        root.present()?;
        Ok(())
    }
}
