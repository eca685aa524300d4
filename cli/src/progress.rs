//! A live line on stderr: a bar on a terminal, a plain line now and then in a log.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Shows `message` until `work` is done. With a `length` it is a bar and `message` also says
/// how far it is.
pub async fn during<T>(
    work: impl Future<Output = T>,
    length: Option<u64>,
    mut message: impl FnMut() -> (u64, String),
) -> T {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    bar.set_style(style(length.is_some()));
    let plain = bar.is_hidden();
    let mut ticks = tokio::time::interval(if plain { Duration::from_secs(10) } else { Duration::from_millis(100) });
    ticks.tick().await; // The first tick is at once, with nothing to tell.
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick() => {
                let (position, text) = message();
                if plain {
                    crate::output::note(text);
                } else {
                    bar.set_position(position);
                    bar.set_message(text);
                }
            }
        }
    }
}

fn style(bar: bool) -> ProgressStyle {
    let template = if bar {
        "{wide_bar:.cyan/blue} {bytes}/{total_bytes} {msg} (ETA {eta})"
    } else {
        "{spinner} {elapsed_precise} {msg}"
    };
    // The templates are constants, so the fallback is for the type alone.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
