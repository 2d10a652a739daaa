//! The error file: log lines of the level ERROR, in files that are rotated by size.

use std::{path::Path, sync::Mutex};

use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};

use crate::infra::{config::LogConfig, private_files};

/// A writer to the error file, for a logging layer.
pub(super) type ErrorFileWriter = Mutex<FileRotate<AppendCount>>;

/// Opens the error file; `None` if there is none by the settings. The file, and the older ones with the suffixes `.1`,
/// `.2`, …, can be read by their owner only. A file is complete after the line that reaches its maximum size.
///
/// # Errors
/// Returns a message for the operator if the file cannot be written.
pub(super) fn open_error_file(config: &LogConfig) -> Result<Option<ErrorFileWriter>, String> {
    if config.error_file.is_empty() {
        return Ok(None);
    }
    let path = Path::new(&config.error_file);
    let explain = |error: std::io::Error| format!("log.error_file: {} cannot be written: {error}", path.display());
    let folder = private_files::parent_folder(path);
    private_files::create_private_dir(folder).map_err(explain)?;
    let mut options = private_files::private_open_options();
    options.read(true).create(true).append(true);
    options.open(path).map_err(explain)?;
    let older_files = AppendCount::new(config.error_file_count.saturating_sub(1));
    let limit = ContentLimit::BytesSurpassed(config.error_file_max_bytes);
    let file = FileRotate::new(
        folder.join(path.file_name().unwrap_or_default()),
        older_files,
        limit,
        Compression::None,
        Some(options),
    );
    Ok(Some(Mutex::new(file)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::infra::Config;

    #[test]
    fn error_file_is_rotated_by_size_and_number() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("logs/error.log");
        let variables = [
            ("SAVANNAH_LOG__ERROR_FILE", path.to_str().expect("UTF-8")),
            ("SAVANNAH_LOG__ERROR_FILE_MAX_BYTES", "1024"),
            ("SAVANNAH_LOG__ERROR_FILE_COUNT", "3"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let config = Config::load_from(Path::new("/nowhere.toml"), variables.into_iter()).expect("settings");
        let file = open_error_file(&config.log).expect("a file").expect("a file");
        let line = format!("{}\n", "x".repeat(99));
        for _ in 0..100 {
            file.lock().expect("a lock").write_all(line.as_bytes()).expect("written");
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path.parent().expect("a folder")).expect("a folder") {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("metadata");
            assert!(metadata.len() <= 1024 + 100, "{entry:?}");
            assert_eq!(metadata.len() % 100, 0, "no line is split");
            #[cfg(unix)]
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
            names.push(entry.file_name().into_string().expect("UTF-8"));
        }
        names.sort_unstable();
        assert_eq!(names, ["error.log", "error.log.1", "error.log.2"]);
    }
}
