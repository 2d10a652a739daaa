use super::*;
use crate::{
    infra::sms::segments,
    notification::words::{LineWords, ParcelWords},
};

fn order(occasion: Occasion) -> OrderWords {
    let line = |name: &str, variant: &str| LineWords {
        name: name.into(),
        variant: variant.into(),
        quantity: 2,
        total: "KES 2,500.00".into(),
    };
    let parcel = ParcelWords {
        lines: vec![line("<b>x</b>", "")],
        carrier: Some("Posta & Co".into()),
        tracking: Some("RR123456785KE".into()),
        url: Some("https://track.example/?a=1&b=2".into()),
        partial: true,
    };
    OrderWords {
        number: "K7M2-9QXA".into(),
        name: "Wanjiku".into(),
        lines: vec![line("<b>x</b>", "Red \"L\""), line("Kikoi & kanga", "")],
        subtotal: "KES 5,000.00".into(),
        discount: Some("KES 500.00".into()),
        shipping: "KES 300.00".into(),
        tax: Some("KES 0.00".into()),
        tax_included: Some("KES 662.07".into()),
        total: "KES 4,800.00".into(),
        address: vec!["Wanjiku Kamau".into(), "Moi Avenue 1".into(), "Nairobi".into()],
        parcel: (occasion == Occasion::OrderShipped).then_some(parcel),
        refund: (occasion == Occasion::OrderRefunded).then(|| "KES 1,200.00".into()),
    }
}

fn facts<'a>(order: Option<&'a OrderWords>, link: Option<&str>) -> Facts<'a> {
    let token = order.is_none().then_some("the-token");
    Facts { shop: "Savannah", name: "Wanjiku", order, link: link.map(str::to_owned), token }
}

#[test]
fn every_occasion_has_its_words_in_every_language() {
    let mut subjects = Vec::new();
    for language in Language::ALL {
        for occasion in Occasion::ALL {
            let order = occasion.is_chosen().then(|| order(occasion));
            let about = format!("{language} {}", occasion.name());
            for link in [None, Some("https://shop.example/orders/1?token=2&x=3")] {
                let facts = facts(order.as_ref(), link);
                let Written { subject, text, html } =
                    letter(occasion, language, &facts).unwrap_or_else(|why| panic!("{about}: {}", why.log()));
                assert!(!subject.is_empty() && !subject.contains('\n'), "{about}: {subject}");
                assert!(html.contains(&format!("<html lang=\"{language}\">")) && html.ends_with("</html>"), "{about}");
                assert!(html.contains(&format!("<title>{subject}</title>")), "{about}: {html}");
                assert!(!html.contains("<img") && !html.contains("<script"), "{about}");
                assert!(!text.contains('<') || text.contains("<b>x</b>"), "{about}: {text}");
                assert!(!text.contains("\n\n\n"), "{about}: {text}");
                assert!(text.contains("Wanjiku") && text.contains("Savannah"), "{about}: {text}");
                assert_eq!(
                    text.contains("https://shop.example/orders/1?token=2&x=3"),
                    link.is_some(),
                    "{about}: {text}"
                );
                assert_eq!(
                    html.contains("https:&#x2f;&#x2f;shop.example") || html.contains("https://shop.example"),
                    link.is_some(),
                    "{about}: {html}"
                );
                if occasion.is_chosen() {
                    assert!(subject.contains("K7M2-9QXA") && text.contains("2 x <b>x</b>"), "{about}: {text}");
                    assert!(!html.contains("<b>x</b>") && html.contains("&lt;b&gt;x&lt;"), "{about}: {html}");
                } else {
                    assert_eq!(text.contains("the-token"), link.is_none(), "{about}: {text}");
                }
                subjects.push(subject);
            }
        }
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), Occasion::ALL.len() * Language::ALL.len(), "each has words of its own: {subjects:?}");
}

#[test]
fn amounts_and_lines_stand_in_a_letter() {
    let order = order(Occasion::OrderPlaced);
    let facts = facts(Some(&order), None);
    let english = letter(Occasion::OrderPlaced, Language::English, &facts).expect("a letter");
    for words in [
        "2 x <b>x</b> (Red \"L\"): KES 2,500.00\n",
        "Discount: -KES 500.00\n",
        "Total: KES 4,800.00\n",
        "Moi Avenue 1\n",
    ] {
        assert!(english.text.contains(words), "{words:?} in {}", english.text);
    }
    let swahili = letter(Occasion::OrderPlaced, Language::Swahili, &facts).expect("a letter");
    assert_eq!(swahili.subject, "Tumepokea oda yako K7M2-9QXA");
    assert!(swahili.text.contains("Jumla: KES 4,800.00\n") && swahili.html.contains("Punguzo"), "{}", swahili.text);
}

#[test]
fn a_short_message_is_one() {
    let link =
        fill("https://shop.example/o/{number}?t={token}", &[("number", "K7M2-9QXA"), ("token", &"t".repeat(43))]);
    for language in Language::ALL {
        for occasion in Occasion::ALL.into_iter().filter(|one| one.is_chosen()) {
            let order = order(occasion);
            let plain = note(occasion, language, &facts(Some(&order), None)).expect("a note");
            let linked = note(occasion, language, &facts(Some(&order), link.as_deref())).expect("a note");
            assert!(plain.starts_with("Savannah: ") && plain.contains("K7M2-9QXA"), "{plain}");
            assert!(linked.starts_with(&plain) && linked.ends_with(link.as_deref().expect("a link")), "{linked}");
            assert!(!plain.contains("  ") && !plain.contains('\n'), "{plain:?}");
            assert_eq!(segments(&plain), 1, "{plain}");
            assert!(segments(&linked) <= 2 && linked.is_ascii(), "{linked}");
        }
    }
}

#[test]
fn addresses_are_filled_in() {
    assert_eq!(fill("", &[("token", "x")]), None);
    let filled = fill("https://s.example/{number}?t={token}", &[("number", "A/1"), ("token", "a-b_c&d")]);
    assert_eq!(filled.as_deref(), Some("https://s.example/A%2F1?t=a-b_c%26d"));
}
