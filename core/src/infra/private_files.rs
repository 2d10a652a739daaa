//! Files and folders with owner-only permissions.

use std::{fs, io, path::Path};

/// Creates a folder and its missing parents that only the owner can access (mode 0700 on Unix).
pub fn create_private_dir(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Returns the folder of a file; the working directory if the path is just a name.
#[must_use]
pub fn parent_folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Returns options that create a file that only the owner can access (mode 0600 on Unix).
#[must_use]
pub fn private_open_options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
