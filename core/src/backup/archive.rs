//! The archive of a backup: a tar file with the members, then the manifest with their checksums, then the checksum of
//! the manifest. `tar` and `sha256sum` read it, too.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use tar::{Archive, Builder, EntryWriter, Header};
use tokio_util::sync::CancellationToken;

use super::manifest::{ArchiveMember, BackupManifest, MemberKind};
use crate::base::digest::{Sha256Stream, sha256_bytes, to_hex};

/// The name of the manifest.
const MANIFEST_NAME: &str = "manifest.json";
/// The name of the manifest's checksum, in the format of `sha256sum`.
const MANIFEST_CHECKSUM_NAME: &str = "manifest.json.sha256";
/// The maximum size of the manifest in bytes.
const MAX_MANIFEST_SIZE: u64 = 1 << 20;
/// The buffer between the archive and its file in bytes.
const BUFFER_SIZE: usize = 1 << 20;

/// The archive being written.
pub(super) struct ArchiveWriter<'a> {
    builder: Builder<BufWriter<&'a File>>,
    manifest: BackupManifest,
    cancellation: CancellationToken,
}

impl<'a> ArchiveWriter<'a> {
    /// Begins an archive in an empty file.
    pub(super) fn new(file: &'a File, manifest: BackupManifest, cancellation: CancellationToken) -> Self {
        Self { builder: Builder::new(BufWriter::with_capacity(BUFFER_SIZE, file)), manifest, cancellation }
    }

    /// Appends a member, which `write` produces.
    ///
    /// # Errors
    /// Returns the error of `write` or of the file.
    pub(super) fn append_member(
        &mut self,
        kind: MemberKind,
        name: &str,
        write: impl FnOnce(&mut MemberWriter<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut header = create_header(&self.manifest);
        let entry = self.builder.append_writer(&mut header, name).map_err(|error| write_failed(&error))?;
        let mut writer =
            MemberWriter { entry, digest: Sha256Stream::default(), size: 0, cancellation: self.cancellation.clone() };
        write(&mut writer)?;
        let MemberWriter { entry, digest, size, cancellation: _ } = writer;
        entry.finish().map_err(|error| write_failed(&error))?;
        self.manifest.members.push(ArchiveMember { kind, name: name.to_owned(), size, sha256: digest.finish_hex() });
        Ok(())
    }

    /// Appends the manifest and stores the file durably.
    ///
    /// # Errors
    /// Returns a message for the operator if the file cannot be written.
    pub(super) fn finish(mut self) -> Result<BackupManifest, String> {
        let text = serde_json::to_vec_pretty(&self.manifest).map_err(|error| error.to_string())?;
        let checksum = format!("{}  {MANIFEST_NAME}\n", to_hex(&sha256_bytes(&text)));
        let outcome = (|| {
            for (name, contents) in [(MANIFEST_NAME, text.as_slice()), (MANIFEST_CHECKSUM_NAME, checksum.as_bytes())] {
                let mut header = create_header(&self.manifest);
                header.set_size(contents.len() as u64);
                self.builder.append_data(&mut header, name, contents)?;
            }
            let buffer = self.builder.into_inner()?;
            buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        })();
        outcome.map_err(|error| write_failed(&error))?;
        Ok(self.manifest)
    }
}

fn create_header(manifest: &BackupManifest) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(manifest.created_at.timestamp()).unwrap_or_default());
    header
}

pub(super) fn write_failed(error: &io::Error) -> String {
    format!("the backup cannot be written: {error}")
}

/// Writes a member; fails when the backup is canceled.
pub(super) struct MemberWriter<'a> {
    entry: EntryWriter<'a>,
    digest: Sha256Stream,
    size: u64,
    cancellation: CancellationToken,
}

impl Write for MemberWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ensure_active(&self.cancellation)?;
        let count = self.entry.write(bytes)?;
        self.digest.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.entry.flush()
    }
}

fn ensure_active(cancellation: &CancellationToken) -> io::Result<()> {
    if cancellation.is_cancelled() { Err(io::Error::other("interrupted")) } else { Ok(()) }
}

/// An archive to read.
pub(super) struct ArchiveReader {
    path: PathBuf,
    manifest: BackupManifest,
    cancellation: CancellationToken,
}

impl ArchiveReader {
    /// Opens an archive and reads its manifest.
    ///
    /// # Errors
    /// Returns a message for the operator if the file is not a complete backup that this program can read.
    pub(super) fn open(path: &Path, cancellation: CancellationToken) -> Result<Self, String> {
        let file = open_file(path)?;
        let (mut text, mut checksum) = (None, None);
        let mut archive = Archive::new(BufReader::new(file));
        let outcome = (|| {
            for entry in archive.entries_with_seek()? {
                let entry = entry?;
                let target = match &*entry.path_bytes() {
                    name if name == MANIFEST_NAME.as_bytes() => &mut text,
                    name if name == MANIFEST_CHECKSUM_NAME.as_bytes() => &mut checksum,
                    _ => continue,
                };
                let mut contents = Vec::new();
                entry.take(MAX_MANIFEST_SIZE).read_to_end(&mut contents)?;
                *target = Some(contents);
            }
            Ok(())
        })();
        outcome.map_err(|error: io::Error| damaged(path, &error.to_string()))?;
        let (Some(text), Some(checksum)) = (text, checksum) else {
            return Err(damaged(path, "it has no manifest"));
        };
        if !checksum.starts_with(to_hex(&sha256_bytes(&text)).as_bytes()) {
            return Err(damaged(path, "its manifest differs from its checksum"));
        }
        let manifest = BackupManifest::parse(&text).map_err(|error| unusable(path, &error))?;
        Ok(Self { path: path.to_owned(), manifest, cancellation })
    }

    /// Returns the manifest.
    pub(super) fn manifest(&self) -> &BackupManifest {
        &self.manifest
    }

    /// Rejects a backup of a newer program, whose schema this one does not know.
    ///
    /// # Errors
    /// Returns a message for the operator.
    pub(super) fn ensure_restorable(&self) -> Result<(), String> {
        self.manifest.ensure_restorable().map_err(|error| unusable(&self.path, &error))
    }

    /// Reads all members and compares their checksums.
    ///
    /// # Errors
    /// Returns a message for the operator that names the member that is missing or differs.
    pub(super) fn verify(&self) -> Result<(), String> {
        for member in &self.manifest.members {
            self.read_member(member, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Passes the contents of a member to `read`, then reads the rest of it and compares the checksum.
    ///
    /// # Errors
    /// Returns the error of `read`, or a message for the operator if the member is missing or differs.
    pub(super) fn read_member<T>(
        &self,
        member: &ArchiveMember,
        read: impl FnOnce(&mut dyn Read) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut archive = Archive::new(BufReader::new(open_file(&self.path)?));
        let failed = |error: io::Error| damaged(&self.path, &format!("{}: {error}", member.name));
        for entry in archive.entries_with_seek().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if *entry.path_bytes() != *member.name.as_bytes() {
                continue;
            }
            let mut reader = MemberReader {
                contents: BufReader::with_capacity(BUFFER_SIZE, entry),
                digest: Sha256Stream::default(),
                size: 0,
                cancellation: &self.cancellation,
            };
            let result = read(&mut reader)?;
            io::copy(&mut reader, &mut io::sink()).map_err(failed)?;
            if reader.size != member.size || reader.digest.finish_hex() != member.sha256 {
                return Err(damaged(&self.path, &format!("{} differs from its checksum", member.name)));
            }
            return Ok(result);
        }
        Err(damaged(&self.path, &format!("{} is missing", member.name)))
    }
}

/// Reads a member; fails when the restore is canceled.
struct MemberReader<'a, R> {
    contents: R,
    digest: Sha256Stream,
    size: u64,
    cancellation: &'a CancellationToken,
}

impl<R: Read> Read for MemberReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        ensure_active(self.cancellation)?;
        let count = self.contents.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

fn open_file(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn damaged(path: &Path, reason: &str) -> String {
    format!("{} is damaged, incomplete or not a backup of Savannah: {reason}", path.display())
}

fn unusable(path: &Path, reason: &str) -> String {
    format!("{} cannot be used: {reason}", path.display())
}
