//! A progress bar for what takes longer than a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long to be silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on stderr; nothing where that is no terminal. It goes away when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// A bar that is full after `n_steps`.
    pub(crate) fn new(what: &'static str, n_steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(n_steps as u64), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3}%  {eta} left")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        Progress { bar, started: Instant::now() }
    }

    pub(crate) fn advance(&self, n_steps: usize) {
        self.bar.inc(n_steps as u64);
        if self.bar.is_hidden() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
