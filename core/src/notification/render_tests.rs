use sea_orm::Iterable;

use super::*;
use crate::{
    infra::sms::count_segments,
    notification::template_data::{FulfillmentTemplateData, LineTemplateData},
};

fn sample_order(event_type: NotificationEventType) -> OrderTemplateData {
    let line = |name: &str, variant: &str| LineTemplateData {
        name: name.into(),
        variant: variant.into(),
        quantity: 2,
        total: "KES 2,500.00".into(),
    };
    let fulfillment = FulfillmentTemplateData {
        lines: vec![line("<b>x</b>", "")],
        carrier: Some("Posta & Co".into()),
        tracking: Some("RR123456785KE".into()),
        url: Some("https://track.example/?a=1&b=2".into()),
        partial: true,
    };
    OrderTemplateData {
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
        parcel: (event_type == NotificationEventType::OrderShipped).then_some(fulfillment),
        refund: (event_type == NotificationEventType::OrderRefunded).then(|| "KES 1,200.00".into()),
    }
}

fn sample_context<'a>(order: Option<&'a OrderTemplateData>, link: Option<&str>) -> TemplateContext<'a> {
    TemplateContext { shop: "Savannah", name: "Wanjiku", order, link: link.map(str::to_owned), token: None }
}

/// Event types with a token or code.
const HAVE_TOKEN: [NotificationEventType; 5] = [
    NotificationEventType::OrderLink,
    NotificationEventType::VerifyEmail,
    NotificationEventType::ResetPassword,
    NotificationEventType::ChangeEmail,
    NotificationEventType::LoginCode,
];

#[test]
fn every_event_type_renders_in_every_language() {
    let mut subjects = Vec::new();
    for language in LanguageCode::ALL {
        for event_type in NotificationEventType::iter() {
            let order = event_type.is_about_order().then(|| sample_order(event_type));
            let label = format!("{language} {}", event_type.to_value());
            for link in [None, Some("https://shop.example/orders/1?token=2&x=3")] {
                let has_token = HAVE_TOKEN.contains(&event_type);
                let token = has_token.then_some("the-token");
                let context = TemplateContext { token, ..sample_context(order.as_ref(), link) };
                let RenderedEmail { subject, text, html } = render_email(event_type, language, &context)
                    .unwrap_or_else(|error| panic!("{label}: {}", error.log_message()));
                assert!(!subject.is_empty() && !subject.contains('\n'), "{label}: {subject}");
                assert!(html.contains(&format!("<html lang=\"{language}\">")) && html.ends_with("</html>"), "{label}");
                assert!(html.contains(&format!("<title>{subject}</title>")), "{label}: {html}");
                assert!(!html.contains("<img") && !html.contains("<script"), "{label}");
                assert!(!text.contains('<') || text.contains("<b>x</b>"), "{label}: {text}");
                assert!(!text.contains("\n\n\n"), "{label}: {text}");
                assert!(text.contains("Wanjiku") && text.contains("Savannah"), "{label}: {text}");
                assert_eq!(
                    text.contains("https://shop.example/orders/1?token=2&x=3"),
                    link.is_some(),
                    "{label}: {text}"
                );
                assert_eq!(
                    html.contains("https:&#x2f;&#x2f;shop.example") || html.contains("https://shop.example"),
                    link.is_some(),
                    "{label}: {html}"
                );
                if event_type.is_about_order() {
                    assert!(subject.contains("K7M2-9QXA") && text.contains("2 x <b>x</b>"), "{label}: {text}");
                    assert!(!html.contains("<b>x</b>") && html.contains("&lt;b&gt;x&lt;"), "{label}: {html}");
                }
                assert_eq!(text.contains("the-token"), has_token && link.is_none(), "{label}: {text}");
                subjects.push(subject);
            }
        }
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(
        subjects.len(),
        NotificationEventType::iter().count() * LanguageCode::ALL.len(),
        "subjects must be unique: {subjects:?}"
    );
}

#[test]
fn email_contains_amounts_and_lines() {
    let order = sample_order(NotificationEventType::OrderPlaced);
    let context = sample_context(Some(&order), None);
    let english = render_email(NotificationEventType::OrderPlaced, LanguageCode::English, &context).expect("email");
    for expected in [
        "2 x <b>x</b> (Red \"L\"): KES 2,500.00\n",
        "Discount: -KES 500.00\n",
        "Total: KES 4,800.00\n",
        "Moi Avenue 1\n",
    ] {
        assert!(english.text.contains(expected), "{expected:?} in {}", english.text);
    }
    let swahili = render_email(NotificationEventType::OrderPlaced, LanguageCode::Swahili, &context).expect("email");
    assert_eq!(swahili.subject, "Tumepokea oda yako K7M2-9QXA");
    assert!(swahili.text.contains("Jumla: KES 4,800.00\n") && swahili.html.contains("Punguzo"), "{}", swahili.text);
}

#[test]
fn sms_without_link_fits_one_segment() {
    let link = fill_url_template(
        "https://shop.example/o/{number}?t={token}",
        &[("number", "K7M2-9QXA"), ("token", &"t".repeat(43))],
    );
    for language in LanguageCode::ALL {
        for event_type in NotificationEventType::iter().filter(|candidate| candidate.is_optional()) {
            let order = sample_order(event_type);
            let without_link = render_sms(event_type, language, &sample_context(Some(&order), None)).expect("SMS");
            let with_link =
                render_sms(event_type, language, &sample_context(Some(&order), link.as_deref())).expect("SMS");
            assert!(without_link.starts_with("Savannah: ") && without_link.contains("K7M2-9QXA"), "{without_link}");
            assert!(
                with_link.starts_with(&without_link) && with_link.ends_with(link.as_deref().expect("a link")),
                "{with_link}"
            );
            assert!(!without_link.contains("  ") && !without_link.contains('\n'), "{without_link:?}");
            assert_eq!(count_segments(&without_link), 1, "{without_link}");
            assert!(count_segments(&with_link) <= 2 && with_link.is_ascii(), "{with_link}");
        }
    }
}

#[test]
fn sms_with_code_fits_one_segment() {
    for language in LanguageCode::ALL {
        let context = TemplateContext { token: Some("012345"), ..sample_context(None, None) };
        let text = render_sms(NotificationEventType::LoginCode, language, &context).expect("SMS");
        assert!(text.starts_with("Savannah: ") && text.contains(" 012345.") && text.is_ascii(), "{text}");
        assert_eq!(count_segments(&text), 1, "{text}");
    }
}

#[test]
fn url_placeholders_are_percent_encoded() {
    assert_eq!(fill_url_template("", &[("token", "x")]), None);
    let url = fill_url_template("https://s.example/{number}?t={token}", &[("number", "A/1"), ("token", "a-b_c&d")]);
    assert_eq!(url.as_deref(), Some("https://s.example/A%2F1?t=a-b_c%26d"));
}
