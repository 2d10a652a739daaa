//! The sentences of a made-up product, with its own words put in.

use super::dice::Dice;
use super::words::{CLOSINGS, DETAILS, OPENINGS, POINTS};

/// The words that a description is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The coined word.
    pub model: &'a str,
    /// What it is, in the singular.
    pub item: &'a str,
    /// Who makes it.
    pub vendor: &'a str,
    /// Where it comes from.
    pub place: &'a str,
    /// What it is for, as inside a sentence.
    pub purpose: &'a str,
    /// `Made of`, or whatever goes before the material.
    pub made: &'a str,
    /// What it is made of.
    pub material: &'a str,
    /// Whether it can be mended and wiped.
    pub lasts: bool,
}

/// Two to four sentences in a paragraph, and a list after every third.
pub fn describe(dice: &mut Dice, subject: &Subject) -> String {
    let suited = |all: &'static [&str], anything: usize| {
        let many = if subject.lasts { all.len() } else { anything };
        &all[..many]
    };
    let (details, closings) = (suited(&DETAILS, 7), suited(&CLOSINGS, 6));
    let mut html = String::with_capacity(640);
    html.push_str("<p>");
    fill(&mut html, dice.pick(&OPENINGS), subject);
    let first = dice.index(details.len());
    for detail in 0..=usize::from(dice.percent(45)) {
        html.push(' ');
        // A step that shares no divisor with the length never says the same thing twice.
        let sentence = details[(first + detail * 5) % details.len()];
        fill(&mut html, sentence, subject);
    }
    if dice.percent(55) {
        html.push(' ');
        fill(&mut html, dice.pick(closings), subject);
    }
    html.push_str("</p>");
    if dice.percent(33) {
        points(&mut html, dice, suited(&POINTS, 7), subject);
    }
    html
}

fn points(html: &mut String, dice: &mut Dice, all: &[&str], subject: &Subject) {
    let first = dice.index(all.len());
    html.push_str("<ul>");
    for point in 0..3 {
        html.push_str("<li>");
        fill(html, all[(first + point * 3) % all.len()], subject);
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

/// Append the sentence with every `{word}` replaced.
fn fill(html: &mut String, sentence: &str, subject: &Subject) {
    let mut pieces = sentence.split(['{', '}']);
    while let Some(plain) = pieces.next() {
        html.push_str(plain);
        let word = match pieces.next() {
            Some("model") => subject.model,
            Some("item") => subject.item,
            Some("vendor") => subject.vendor,
            Some("place") => subject.place,
            Some("use") => subject.purpose,
            Some("made") => subject.made,
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
