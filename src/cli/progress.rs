//! Progress output of long-running commands: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::import_export::Progress;

/// Unit and total of a progress bar.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProgressScale {
    /// Total size of the files in bytes.
    Bytes(u64),
    /// Total number of items, if known.
    Items(Option<u64>),
}

/// Runs a future and shows its progress on standard error.
pub(super) async fn show_progress<T>(
    noun: &str,
    scale: ProgressScale,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> T {
    let is_terminal = std::io::stderr().is_terminal();
    let progress_bar = if is_terminal { create_progress_bar(noun, scale) } else { ProgressBar::hidden() };
    let mut work = std::pin::pin!(work);
    let mut refresh_interval = tokio::time::interval(Duration::from_millis(if is_terminal { 100 } else { 5_000 }));
    refresh_interval.tick().await;
    let started_at = Instant::now();
    loop {
        tokio::select! {
            output = &mut work => {
                progress_bar.finish_and_clear();
                return output;
            }
            _ = refresh_interval.tick() => {
                let item_count = progress.item_count();
                match scale {
                    ProgressScale::Bytes(_) => progress_bar.set_position(progress.bytes_read.load(Ordering::Relaxed)),
                    ProgressScale::Items(_) => progress_bar.set_position(item_count),
                }
                progress_bar.set_message(format!("{item_count} {noun}"));
                if !is_terminal {
                    eprintln!("{item_count} {noun} after {} s", started_at.elapsed().as_secs());
                }
            }
        }
    }
}

fn create_progress_bar(noun: &str, scale: ProgressScale) -> ProgressBar {
    let (length, template) = match scale {
        ProgressScale::Bytes(length) => (Some(length), "{bar:30} {bytes}/{total_bytes} {msg} {eta}"),
        ProgressScale::Items(Some(length)) => (Some(length), "{bar:30} {pos}/{len} {msg} {eta}"),
        ProgressScale::Items(None) => (None, "{spinner} {msg} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let progress_bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    progress_bar.set_style(style);
    progress_bar.set_message(noun.to_owned());
    progress_bar
}
