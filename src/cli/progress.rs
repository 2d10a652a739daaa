//! How far long work has come: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::exchange::Progress;

/// What a bar measures.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    /// So many bytes of files.
    Bytes(u64),
    /// So many things.
    Things(u64),
    /// Nobody knows how many things.
    Open,
}

/// Runs work and shows how far it has come, on standard error.
pub(super) async fn show<T>(what: &str, scale: Scale, progress: &Progress, work: impl Future<Output = T>) -> T {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { bar(what, scale) } else { ProgressBar::hidden() };
    let mut work = std::pin::pin!(work);
    let mut beat = tokio::time::interval(Duration::from_millis(if terminal { 100 } else { 5_000 }));
    beat.tick().await;
    let began = Instant::now();
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = beat.tick() => {
                let things = progress.things();
                match scale {
                    Scale::Bytes(_) => bar.set_position(progress.bytes.load(Ordering::Relaxed)),
                    Scale::Things(_) | Scale::Open => bar.set_position(things),
                }
                bar.set_message(format!("{things} {what}"));
                if !terminal {
                    eprintln!("{things} {what} after {} s", began.elapsed().as_secs());
                }
            }
        }
    }
}

fn bar(what: &str, scale: Scale) -> ProgressBar {
    let (length, template) = match scale {
        Scale::Bytes(length) => (Some(length), "{bar:30} {bytes}/{total_bytes} {msg} {eta}"),
        Scale::Things(length) => (Some(length), "{bar:30} {pos}/{len} {msg} {eta}"),
        Scale::Open => (None, "{spinner} {msg} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar
}
