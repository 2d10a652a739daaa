//! Why a message did not go out: whether trying again may help.

use std::{io::Write, path::Path};

use super::private_files;

/// The longest reason that is kept. Characters.
const LONGEST: usize = 300;

/// Why a message did not go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Another time it may.
    Later(String),
    /// It never will: its recipient is not there, or refuses it.
    Never(String),
    /// The shop sends none of this kind.
    Nowhere,
}

impl Unsent {
    /// Another time it may.
    pub fn later(why: impl AsRef<str>) -> Self {
        Self::Later(plain(why.as_ref()))
    }

    /// It never will.
    pub fn never(why: impl AsRef<str>) -> Self {
        Self::Never(plain(why.as_ref()))
    }
}

/// Words of others, in one line that is not too long.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Puts a message into a folder, whole or not at all, and for its owner alone: there are people and tokens in it. One that is put there again takes the place of the first.
pub(super) async fn file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Unsent> {
    let failed = |why: std::io::Error| Unsent::later(format!("it could not be written to {}: {why}", folder.display()));
    let (part, whole, bytes) = (folder.join(format!(".{name}.part")), folder.join(name), bytes.to_vec());
    let made = folder.to_owned();
    let write = move || {
        private_files::create_folder(&made)?;
        private_files::open_options().create(true).write(true).truncate(true).open(&part)?.write_all(&bytes)?;
        std::fs::rename(part, whole)
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|why| Err(std::io::Error::other(why))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_cut_to_one_line() {
        assert_eq!(Unsent::never("no\r\n such\tuser\0"), Unsent::Never("no such user".into()));
        assert_eq!(Unsent::later("é".repeat(999)), Unsent::Later("é".repeat(LONGEST)));
    }
}
