//! Decodes, checks and encodes pictures, with bounded memory. Blocking: see [`super::processor`].

use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek, SeekFrom},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use fast_image_resize::{PixelType, Resizer, images::Image};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::{avif::AvifEncoder, jpeg::JpegEncoder, png::PngEncoder},
    metadata::Orientation,
};

use super::entity::PictureFormat;
use crate::infra::config::MediaConfig;

/// Maximum width and height of a picture: the maximum of WebP.
const MAX_SIDE: u32 = 16_383;
/// Memory of a decoder in bytes per pixel: 16 bits in four channels.
const MAX_BYTES_PER_PIXEL: u64 = 8;
/// Memory of a decoder beside the pixels in bytes.
const DECODER_BYTES: u64 = 16 * 1024 * 1024;
/// Number of bytes that tell the format.
const SIGNATURE_BYTES: usize = 512;
/// Width and height of a placeholder, and its quality.
const PLACEHOLDER_SIDE: u32 = 24;
const PLACEHOLDER_QUALITY: f32 = 40.0;
/// Speed of the encoder of AVIF, from 1 to 10.
const AVIF_SPEED: u8 = 10;
/// Name of the largest rendition.
const LARGEST_RENDITION: &str = "full";

/// What is made of a picture.
#[derive(Debug, Clone)]
pub struct PictureRules {
    /// Maximum number of pixels.
    pub max_pixels: u64,
    /// Widths of renditions.
    pub widths: Vec<u32>,
    /// Whether there are renditions as WebP.
    pub webp: bool,
    /// Whether there are renditions as AVIF.
    pub avif: bool,
    /// Quality of JPEG, WebP and AVIF.
    pub quality: u8,
}

impl From<&MediaConfig> for PictureRules {
    fn from(config: &MediaConfig) -> Self {
        let mut widths = config.widths.clone();
        widths.sort_unstable();
        widths.dedup();
        let MediaConfig { max_pixels, webp, avif, quality, .. } = *config;
        Self { max_pixels, widths, webp, avif, quality }
    }
}

/// The reason why a picture is rejected, for the user who sent it, or why it could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It is not a picture that the shop takes.
    #[error("{0}")]
    Rejected(String),
    /// Its file could not be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

fn rejected(message: impl Into<String>) -> PictureError {
    PictureError::Rejected(message.into())
}

/// What the check of a picture found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPicture {
    /// Its format.
    pub format: PictureFormat,
    /// The format of renditions that every client shows: PNG where the picture may be transparent or is drawn.
    pub fallback_format: PictureFormat,
    /// Width in pixels, as it is shown.
    pub width: u32,
    /// Height in pixels, as it is shown.
    pub height: u32,
    /// A tiny picture as a data URL, to show until the picture is loaded.
    pub placeholder: String,
}

/// An encoded rendition.
#[derive(Debug)]
pub struct EncodedRendition {
    /// File name.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Format.
    pub format: PictureFormat,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Pixels of 8 bits per channel, without metadata.
struct Pixels {
    width: u32,
    height: u32,
    has_alpha: bool,
    bytes: Vec<u8>,
}

/// Checks a picture by decoding it completely: a file that only begins like one is rejected.
///
/// # Errors
/// Returns the reason why it is rejected.
pub fn check_picture(file: &File, rules: &PictureRules) -> Result<CheckedPicture, PictureError> {
    let (format, pixels) = decode(file, rules)?;
    let fallback_format = match format {
        PictureFormat::Jpeg => PictureFormat::Jpeg,
        PictureFormat::Webp if !pixels.has_alpha => PictureFormat::Jpeg,
        _ => PictureFormat::Png,
    };
    let (width, height) = fit(&pixels, PLACEHOLDER_SIDE, PLACEHOLDER_SIDE);
    let placeholder = encode_webp(&resize(&pixels, width, height)?, PLACEHOLDER_QUALITY)?;
    let placeholder = format!("data:image/webp;base64,{}", BASE64_STANDARD.encode(placeholder));
    Ok(CheckedPicture { format, fallback_format, width: pixels.width, height: pixels.height, placeholder })
}

/// Makes all renditions, from the largest to the smallest, and passes each on; stops when `pass_on` returns `false`.
///
/// # Errors
/// Returns the reason why the picture cannot be decoded.
pub fn make_renditions(
    file: &File,
    fallback_format: PictureFormat,
    rules: &PictureRules,
    mut pass_on: impl FnMut(EncodedRendition) -> bool,
) -> Result<(), PictureError> {
    let (_, mut pixels) = decode(file, rules)?;
    for (name, width) in plan_widths(pixels.width, &rules.widths).into_iter().rev() {
        if width < pixels.width {
            let height = scale(pixels.height, width, pixels.width);
            // From the next larger one, which is faster than from the picture.
            pixels = resize(&pixels, width, height)?;
        }
        let formats = [
            Some(fallback_format),
            rules.webp.then_some(PictureFormat::Webp),
            rules.avif.then_some(PictureFormat::Avif),
        ];
        for format in formats.into_iter().flatten() {
            let rendition = EncodedRendition {
                name: format!("{name}.{}", format.extension()),
                width: pixels.width,
                height: pixels.height,
                format,
                bytes: encode(&pixels, format, rules.quality)?,
            };
            if !pass_on(rendition) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Returns names and widths of the renditions of a picture, ascending. The largest is at most as wide as the picture.
fn plan_widths(picture_width: u32, widths: &[u32]) -> Vec<(String, u32)> {
    let largest = widths.iter().copied().max().unwrap_or(picture_width).min(picture_width);
    let smaller = widths.iter().copied().filter(|width| *width < largest);
    let named = smaller.map(|width| (width.to_string(), width));
    named.chain([(LARGEST_RENDITION.to_owned(), largest)]).collect()
}

/// Decodes a picture, turned as its metadata says.
fn decode(mut file: &File, rules: &PictureRules) -> Result<(PictureFormat, Pixels), PictureError> {
    let mut signature = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(SIGNATURE_BYTES as u64).read_to_end(&mut signature)?;
    file.seek(SeekFrom::Start(0))?;
    let (format, image_format) = detect_format(&signature)?;
    let undecodable = |error: ImageError| explain_error(error, image_format, rules.max_pixels);
    let mut reader = ImageReader::with_format(BufReader::new(file), image_format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(rules.max_pixels * MAX_BYTES_PER_PIXEL + DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    // Before anything is decoded: a small file may claim to have any number of pixels.
    check_dimensions(width, height, rules.max_pixels)?;
    let has_alpha = decoder.color_type().has_alpha();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width(), picture.height());
    let bytes = if has_alpha { picture.into_rgba8().into_raw() } else { picture.into_rgb8().into_raw() };
    Ok((format, Pixels { width, height, has_alpha, bytes }))
}

fn check_dimensions(width: u32, height: u32, max_pixels: u64) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(rejected("the picture has no pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        let message = format!(
            "the picture has {width} x {height} pixels; at most {MAX_SIDE} per side are allowed: make it smaller"
        );
        return Err(rejected(message));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > max_pixels {
        let message = format!(
            "the picture has {width} x {height} = {pixels} pixels; at most {max_pixels} are allowed: make it smaller"
        );
        return Err(rejected(message));
    }
    Ok(())
}

/// Returns the format that the first bytes of a file tell. Name and declared type do not matter.
fn detect_format(signature: &[u8]) -> Result<(PictureFormat, ImageFormat), PictureError> {
    let image_format = image::guess_format(signature).ok();
    let format = image_format.and_then(|image_format| match image_format {
        ImageFormat::Jpeg => Some(PictureFormat::Jpeg),
        ImageFormat::Png => Some(PictureFormat::Png),
        ImageFormat::WebP => Some(PictureFormat::Webp),
        ImageFormat::Gif => Some(PictureFormat::Gif),
        _ => None,
    });
    if let Some(formats) = format.zip(image_format) {
        return Ok(formats);
    }
    let text = String::from_utf8_lossy(signature).to_lowercase();
    let text = text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
    if text.starts_with("<svg") || text.contains("<svg") {
        return Err(rejected("SVG is not accepted, because it may contain scripts: export it as PNG or WebP"));
    }
    if signature.get(4..8) == Some(b"ftyp".as_slice()) {
        return Err(rejected("AVIF and HEIC are not read: export the picture as JPEG, PNG or WebP"));
    }
    Err(rejected("the file is not a picture that the shop reads: send JPEG, PNG, WebP or GIF"))
}

fn explain_error(error: ImageError, format: ImageFormat, max_pixels: u64) -> PictureError {
    match error {
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            // Decoders report malformed data as such errors, too.
            if error.raw_os_error().is_some() {
                return PictureError::Io(error);
            }
            rejected(format!("the file begins as {format:?}, but cannot be decoded: it is damaged"))
        }
        ImageError::Limits(_) => {
            rejected(format!("the picture needs too much memory: at most {max_pixels} pixels are allowed"))
        }
        _ => rejected(format!("the file begins as {format:?}, but cannot be decoded: it is damaged or incomplete")),
    }
}

/// Returns the size of pixels within a box.
fn fit(pixels: &Pixels, max_width: u32, max_height: u32) -> (u32, u32) {
    let by_width = (max_width.min(pixels.width), scale(pixels.height, max_width.min(pixels.width), pixels.width));
    if by_width.1 <= max_height {
        return by_width;
    }
    (scale(pixels.width, max_height, pixels.height), max_height)
}

/// Returns `length * numerator / denominator`, rounded, at least 1.
fn scale(length: u32, numerator: u32, denominator: u32) -> u32 {
    let (length, numerator, denominator) = (u64::from(length), u64::from(numerator), u64::from(denominator));
    u32::try_from((length * numerator + denominator / 2) / denominator).unwrap_or(u32::MAX).max(1)
}

fn resize(pixels: &Pixels, width: u32, height: u32) -> Result<Pixels, PictureError> {
    let pixel_type = if pixels.has_alpha { PixelType::U8x4 } else { PixelType::U8x3 };
    let failed = |error: &dyn std::fmt::Display| rejected(format!("the picture cannot be resized: {error}"));
    let source = fast_image_resize::images::ImageRef::new(pixels.width, pixels.height, &pixels.bytes, pixel_type)
        .map_err(|error| failed(&error))?;
    let mut target = Image::new(width, height, pixel_type);
    Resizer::new().resize(&source, &mut target, None).map_err(|error| failed(&error))?;
    Ok(Pixels { width, height, has_alpha: pixels.has_alpha, bytes: target.into_vec() })
}

fn encode(pixels: &Pixels, format: PictureFormat, quality: u8) -> Result<Vec<u8>, PictureError> {
    let color = if pixels.has_alpha { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (pixels.width, pixels.height);
    let written = match format {
        PictureFormat::Webp => return encode_webp(pixels, f32::from(quality)),
        PictureFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut bytes, quality).write_image(&pixels.bytes, width, height, color)
        }
        PictureFormat::Avif => AvifEncoder::new_with_speed_quality(&mut bytes, AVIF_SPEED, quality)
            // The thread is one of few with low priority.
            .with_num_threads(Some(1))
            .write_image(&pixels.bytes, width, height, color),
        PictureFormat::Png | PictureFormat::Gif => {
            PngEncoder::new(&mut bytes).write_image(&pixels.bytes, width, height, color)
        }
    };
    written.map_err(|error| rejected(format!("the picture cannot be encoded: {error}")))?;
    Ok(bytes.into_inner())
}

fn encode_webp(pixels: &Pixels, quality: f32) -> Result<Vec<u8>, PictureError> {
    let encoder = if pixels.has_alpha {
        webp::Encoder::from_rgba(&pixels.bytes, pixels.width, pixels.height)
    } else {
        webp::Encoder::from_rgb(&pixels.bytes, pixels.width, pixels.height)
    };
    let encoded = encoder.encode_simple(false, quality);
    let encoded = encoded.map_err(|error| rejected(format!("the picture cannot be encoded: {error:?}")))?;
    Ok(encoded.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renditions_are_not_larger_than_the_picture() {
        let widths = [160, 320, 640];
        let names = |width| plan_widths(width, &widths).into_iter().map(|(name, width)| format!("{name}={width}"));
        let list = |width| names(width).collect::<Vec<_>>().join(" ");
        assert_eq!(list(4000), "160=160 320=320 full=640");
        assert_eq!(list(640), "160=160 320=320 full=640");
        assert_eq!(list(500), "160=160 320=320 full=500");
        assert_eq!(list(320), "160=160 full=320");
        assert_eq!(list(1), "full=1");
    }

    #[test]
    fn sizes_keep_the_proportions_and_are_never_zero() {
        let pixels = |width, height| Pixels { width, height, has_alpha: false, bytes: Vec::new() };
        assert_eq!(fit(&pixels(4000, 3000), 24, 24), (24, 18));
        assert_eq!(fit(&pixels(3000, 4000), 24, 24), (18, 24));
        assert_eq!(fit(&pixels(10_000, 1), 24, 24), (24, 1));
        assert_eq!(fit(&pixels(3, 2), 24, 24), (3, 2));
        assert_eq!(scale(3000, 640, 4000), 480);
    }

    #[test]
    fn files_that_are_no_pictures_are_named() {
        let message = |bytes: &[u8]| detect_format(bytes).expect_err("an error").to_string();
        assert!(message(b"\xef\xbb\xbf <?xml version=\"1.0\"?><svg onload=\"alert(1)\">").contains("SVG"));
        assert!(message(b"\0\0\0\x20ftypavif").contains("AVIF"));
        assert!(message(b"%PDF-1.7").contains("JPEG, PNG, WebP or GIF"));
        assert!(message(b"").contains("not a picture"));
    }
}
