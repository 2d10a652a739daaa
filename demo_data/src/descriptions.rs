//! Generation of product descriptions from sentence templates.

use super::rng::DemoRng;
use super::vocabulary::{BULLET_POINTS, CLOSING_SENTENCES, DETAIL_SENTENCES, OPENING_SENTENCES};

/// The values of the template placeholders.
#[derive(Debug, Clone, Copy)]
pub struct DescriptionSubject<'a> {
    /// The model name.
    pub model: &'a str,
    /// The product noun, in the singular.
    pub item_name: &'a str,
    /// The vendor.
    pub vendor: &'a str,
    /// The place of origin.
    pub place: &'a str,
    /// The purpose, within a sentence.
    pub purpose: &'a str,
    /// The phrase before the material, like `Made of`.
    pub material_phrase: &'a str,
    /// The material.
    pub material: &'a str,
    /// Whether sentences about durable products apply.
    pub is_durable: bool,
}

/// Generates a paragraph of two to four sentences, followed by a list in 33 % of the cases.
pub fn generate_description(rng: &mut DemoRng, subject: &DescriptionSubject) -> String {
    let select_suited = |sentences: &'static [&str], universal_count: usize| {
        let count = if subject.is_durable { sentences.len() } else { universal_count };
        &sentences[..count]
    };
    let (details, closings) = (select_suited(&DETAIL_SENTENCES, 7), select_suited(&CLOSING_SENTENCES, 6));
    let mut html = String::with_capacity(640);
    html.push_str("<p>");
    append_sentence(&mut html, rng.choose(&OPENING_SENTENCES), subject);
    let first_index = rng.next_index(details.len());
    for detail in 0..=usize::from(rng.next_bool(45)) {
        html.push(' ');
        // The step is coprime to the length, so that no sentence repeats.
        let sentence = details[(first_index + detail * 5) % details.len()];
        append_sentence(&mut html, sentence, subject);
    }
    if rng.next_bool(55) {
        html.push(' ');
        append_sentence(&mut html, rng.choose(closings), subject);
    }
    html.push_str("</p>");
    if rng.next_bool(33) {
        append_points(&mut html, rng, select_suited(&BULLET_POINTS, 7), subject);
    }
    html
}

fn append_points(html: &mut String, rng: &mut DemoRng, points: &[&str], subject: &DescriptionSubject) {
    let first_index = rng.next_index(points.len());
    html.push_str("<ul>");
    for point in 0..3 {
        html.push_str("<li>");
        append_sentence(html, points[(first_index + point * 3) % points.len()], subject);
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

/// Appends the sentence with every `{placeholder}` replaced.
fn append_sentence(html: &mut String, sentence: &str, subject: &DescriptionSubject) {
    let mut pieces = sentence.split(['{', '}']);
    while let Some(literal) = pieces.next() {
        html.push_str(literal);
        let word = match pieces.next() {
            Some("model") => subject.model,
            Some("item") => subject.item_name,
            Some("vendor") => subject.vendor,
            Some("place") => subject.place,
            Some("use") => subject.purpose,
            Some("made") => subject.material_phrase,
            Some("material") => subject.material,
            Some(unknown) => unknown,
            None => return,
        };
        match word.split_once('&') {
            Some((before, after)) => {
                html.push_str(before);
                html.push_str("&amp;");
                html.push_str(after);
            }
            None => html.push_str(word),
        }
    }
}
