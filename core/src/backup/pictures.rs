//! The pictures of a shop that are stored in a folder: a tar file within the archive.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use super::{
    TEMPORARY_PREFIX,
    archive::{ArchiveReader, ArchiveWriter, MemberWriter, write_failed},
    manifest::MemberKind,
};
use crate::infra::{
    config::{MediaConfig, MediaStorageKind},
    private_files,
};

/// Name of the member.
const MEMBER_NAME: &str = "media.tar";

/// Appends the folder of pictures, if there is one. Made after the copy of the database, it has the files of all its
/// pictures; newer ones are deleted by the sweep after a restore.
pub(super) fn append_folder(archive: &mut ArchiveWriter<'_>, config: &MediaConfig) -> Result<(), String> {
    if config.storage != MediaStorageKind::Folder || !config.folder.exists() {
        return Ok(());
    }
    let root = config.folder.as_path();
    archive.append_member(MemberKind::Media, MEMBER_NAME, |output: &mut MemberWriter<'_>| {
        let mut builder = Builder::new(output);
        append_files(&mut builder, root).map_err(|error| write_failed(&error))?;
        builder.finish().map_err(|error| write_failed(&error))
    })
}

fn append_files(builder: &mut Builder<&mut MemberWriter<'_>>, root: &Path) -> io::Result<()> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_complete(&path) {
                append_file(builder, root, &path)?;
            }
        }
    }
    Ok(())
}

/// Returns whether a file has the name of a stored one; a file that is being written has `#` in its name.
fn is_complete(path: &Path) -> bool {
    path.file_name().is_some_and(|name| !name.to_string_lossy().contains('#'))
}

fn append_file(builder: &mut Builder<&mut MemberWriter<'_>>, root: &Path, path: &Path) -> io::Result<()> {
    let Ok(relative) = path.strip_prefix(root) else { return Ok(()) };
    let file = match File::open(path) {
        // Deleted since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut header = Header::new_gnu();
    let size = file.metadata()?.len();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_entry_type(EntryType::Regular);
    builder.append_data(&mut header, relative, file.take(size))
}

/// Pictures of a backup, extracted beside their folder. They are deleted unless they are published.
pub(super) struct ExtractedPictures {
    extracted: TempDir,
    folder: PathBuf,
}

/// Extracts the pictures of a backup; `None` if it has none.
///
/// # Errors
/// Returns a message for the operator if they cannot be restored.
pub(super) fn extract(archive: &ArchiveReader, config: &MediaConfig) -> Result<Option<ExtractedPictures>, String> {
    let members = &archive.manifest().members;
    let Some(member) = members.iter().find(|member| member.kind == MemberKind::Media) else { return Ok(None) };
    if config.storage != MediaStorageKind::Folder {
        return Err("the backup has pictures, which are restored into a folder: set media.storage to \"folder\", \
             restore, and copy the folder into the bucket"
            .to_owned());
    }
    let folder = config.folder.clone();
    let is_occupied = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_occupied {
        return Err(format!(
            "{} is not empty: pictures are restored into a new folder only; set media.folder to another, or move this one away",
            folder.display()
        ));
    }
    let failed = |error: io::Error| format!("the pictures cannot be restored to {}: {error}", folder.display());
    let parent = private_files::parent_folder(&folder);
    fs::create_dir_all(parent).map_err(failed)?;
    let extracted = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(parent).map_err(failed)?;
    archive.read_member(member, |contents| unpack(contents, extracted.path()).map_err(failed))?;
    Ok(Some(ExtractedPictures { extracted, folder }))
}

fn unpack(contents: &mut dyn Read, target: &Path) -> io::Result<()> {
    for entry in Archive::new(contents).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular || !entry.unpack_in(target)? {
            return Err(io::Error::other("the backup contains something that is not a picture"));
        }
    }
    Ok(())
}

impl ExtractedPictures {
    /// Moves the pictures to their folder.
    ///
    /// # Errors
    /// Returns a message for the operator if the folder was created in the meantime.
    pub(super) fn publish(self) -> Result<(), String> {
        let Self { extracted, folder } = self;
        let failed = |error: io::Error| {
            format!("the database is restored, but not its pictures, to {}: {error}", folder.display())
        };
        if folder.exists() {
            fs::remove_dir(&folder).map_err(failed)?;
        }
        fs::rename(extracted.keep(), &folder).map_err(failed)
    }
}
