//! The words shared by all themes: vendors, places, tags, syllables and sentences.

/// The vendors of every catalog; larger catalogs add generated ones with one of [`VENDOR_SUFFIXES`].
pub const FIXED_VENDORS: &str = "Savannah Goods, Uzuri Works, Rift Valley Makers, Kazuri Lane, Baobab & Sons, \
    Highland Traders, Tamu Studio, Jua Kali Collective, Lamu Dhow Company, Twiga Supply, Mara Outfitters, \
    Nyumbani, Pwani, Simba Trading, Kifaru Gear, Asante Home, Mto Craft House, Duka Basics, \
    Soko House, Acacia Row, Kilima, Ndege, Bahari Blue, Chui Active";

/// The suffixes of generated vendor names.
pub const VENDOR_SUFFIXES: &str = "Works, Traders, Studio, & Sons, Supply, Makers, Home, Collective, Goods, \
    Workshop, Mills, Company";

/// 61 tags: a prime number, so that any stride visits all of them.
pub const TAGS: &str = "new, gift, handmade, bestseller, eco, local, fair-trade, organic, recycled, limited, \
    travel, home, office, family, kids, summer, rainy-season, safari, coast, highland, nairobi, wedding, \
    birthday, classic, modern, rustic, vintage, minimal, colourful, natural, lightweight, waterproof, \
    durable, compact, luxury, budget, bundle, clearance, seasonal, exclusive, artisan, women-owned, \
    cooperative, plastic-free, vegan, washable, repairable, refillable, warranty, fragile, bulky, \
    made-to-order, wholesale, student, outdoor, indoor, weekend, holiday, staff-pick, back-in-stock, \
    everyday";

/// The places of origin.
pub const PLACES: &str = "Nairobi, Kisumu, Nyeri, Lamu, Mombasa, Naivasha, Eldoret, Machakos, Kitui, \
    Nakuru, Malindi, Thika, Kakamega, Nanyuki, Voi, Isiolo";

/// The syllables of generated words, usually three per word.
pub const SYLLABLES: &str = "ka, ke, ki, ra, re, ri, ro, ru, ma, me, mi, mo, mu, ta, te, to, tu, na, ne, no, \
    nu, la, le, li, lo, lu, sa, se, si, so, su, ba, be, bi, bo, bu, wa, we, wi, za, ze, zo, zu, da, de, di, \
    do, du, ja, je, ji, jo, ju, ha, he, hi, hu, ya, ye, yo, yu, ndo, mba, nda, nga, mbe, sha, she, shi, cha, \
    che, tho";

/// The first sentences of a description. Placeholders: `model`, `item`, `vendor`, `place`, `use`, `made`, `material`.
pub const OPENING_SENTENCES: [&str; 10] = [
    "The {model} {item} is the one that {vendor} is known for, and it was drawn with {use} in mind.",
    "Meet the {model}: {vendor} took an honest {item}, left out the fuss and kept what matters.",
    "{vendor} have made the {model} {item} in {place} for years, and every batch gets a little better.",
    "If you want something reliable for {use}, the {model} {item} by {vendor} is an easy choice.",
    "A favourite of our regulars: the {model} {item} is calm, simple and just right for {use}.",
    "Our buyers found the {model} {item} in a small workshop near {place} and ordered it on the spot.",
    "Designed for {use} and tried out in {place}, this {item} does its work without asking for attention.",
    "The {model} started as a sketch at {vendor}; today it is the {item} that customers come back for.",
    "Well balanced, carefully made and fairly priced, the {model} {item} shows what {vendor} can do.",
    "Few things are used as often as a good {item}, so {vendor} gave the {model} all the care they had.",
];

/// The middle sentences of a description. The first seven also apply to non-durable products.
pub const DETAIL_SENTENCES: [&str; 12] = [
    "{made} {material}, it is checked by hand before it leaves {place}.",
    "It arrives in plain paper packaging that you can recycle or compost.",
    "Each batch differs slightly from the next, which is how you know that people made it.",
    "The people at {vendor} are paid fairly and share in what the workshop earns.",
    "Pair it with others from the {model} line for a set that belongs together.",
    "It has been tried by our own staff in {place}, who did not want to give it back.",
    "A short leaflet tells you who made it, when, and how to make the most of it.",
    "The edges are rounded, the joints are tight and nothing rattles.",
    "{made} {material} and built to be mended, it comes with a two-year guarantee.",
    "It is small enough for a shelf and sturdy enough for daily use.",
    "We have used ours for two rainy seasons and it still looks the way it did on the first day.",
    "Spare parts are kept in stock in {place} and posted anywhere in East Africa.",
];

/// The last sentences of a description. The first six also apply to non-durable products.
pub const CLOSING_SENTENCES: [&str; 8] = [
    "A thoughtful gift, and a better one to keep.",
    "Ships from {place} within two working days.",
    "Sold one at a time, with a discount for larger orders on request.",
    "Not what you hoped for? Send it back within thirty days.",
    "Part of what you pay goes to tree planting around {place}.",
    "Stock is limited, and the next batch takes a few weeks.",
    "Wipe with a damp cloth and keep out of strong sun.",
    "Allow for small differences in shade and measurements.",
];

/// The list items. The first seven also apply to non-durable products.
pub const BULLET_POINTS: [&str; 10] = [
    "{made} {material}",
    "A good choice for {use}",
    "Made in small batches in {place}",
    "Free of plastic packaging",
    "A {vendor} original",
    "Posted within two working days",
    "Part of the {model} line",
    "Two-year guarantee",
    "Repairable, with spare parts in stock",
    "Thirty days to return it",
];
