//! The themes of the demo catalog: one per root category, with its vocabulary.

/// The source of a theme. Lists are separated by `, `.
#[derive(Debug, Clone, Copy)]
pub struct ThemeTemplate {
    /// The name of the root category.
    pub name: &'static str,
    /// The prefix of its SKUs.
    pub sku_prefix: &'static str,
    /// The product nouns, in the singular.
    pub nouns: &'static str,
    /// The variations of every noun.
    pub kinds: &'static str,
    /// The purposes, within a sentence.
    pub purposes: &'static str,
    /// The beginning of a sentence about the material.
    pub material_phrase: &'static str,
    /// The materials or origins.
    pub materials: &'static str,
    /// Whether sentences about durable products apply.
    pub is_durable: bool,
    /// The name of the material option.
    pub material_option: &'static str,
    /// The sizes, smallest first.
    pub sizes: &'static str,
    /// The name and the values of the second option.
    pub style_option: (&'static str, &'static str),
    /// The price range, in whole shillings.
    pub price_range: (u64, u64),
    /// The price increase per size, in percent.
    pub size_price_growth: u64,
    /// The weight range, in grams.
    pub weight_range_grams: (u64, u64),
}

const COLOR_OPTION: (&str, &str) = (
    "Colour",
    "Black, White, Sand, Terracotta, Indigo, Olive, Rust, Sky Blue, Charcoal, Mustard, Forest Green, \
     Coral, Ivory, Plum, Teal, Maroon",
);
const LETTER_SIZES: &str = "XS, S, M, L, XL, XXL, 3XL";
const WORD_SIZES: &str = "Mini, Small, Medium, Large, Extra Large, Family";
const DEFAULT_TEMPLATE: ThemeTemplate = ThemeTemplate {
    name: "",
    sku_prefix: "",
    nouns: "",
    kinds: "Classic, Compact, Folding, Portable, Slim, Everyday, Heavy-Duty, Lightweight, Modern, \
            Starter, Deluxe, Premium, Original, Recycled",
    purposes: "home, travel, work, gifts, small spaces, beginners, the weekend, the family, school, guests",
    material_phrase: "Made of",
    materials: "Steel, Aluminium, Bamboo, Rubber, Canvas, Nylon, Cotton, Leather",
    is_durable: true,
    material_option: "Material",
    sizes: WORD_SIZES,
    style_option: COLOR_OPTION,
    price_range: (300, 9_000),
    size_price_growth: 12,
    weight_range_grams: (150, 3_000),
};

/// All themes; small catalogs use only the first few.
pub const THEME_TEMPLATES: [ThemeTemplate; 20] = [
    ThemeTemplate {
        name: "Home & Living",
        sku_prefix: "HOM",
        nouns: "Desk Lamp, Cushion, Throw, Rug, Vase, Candle Holder, Wall Clock, Mirror, Curtain, \
                Storage Basket, Picture Frame, Floor Lamp, Doormat, Lantern, Planter, Wall Shelf, Bedspread",
        kinds: "Handwoven, Rustic, Modern, Classic, Patterned, Carved, Minimal, Coastal, Vintage, \
                Slim, Striped, Hand-Painted, Folding, Studio",
        purposes: "the bedroom, the living room, the veranda, the hallway, small rooms, guests, gifts, \
               the study, the bathroom, the nursery",
        materials: "Acacia, Brass, Sisal, Rattan, Bamboo, Linen, Clay, Mango Wood",
        price_range: (650, 18_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Kitchen & Dining",
        sku_prefix: "KIT",
        nouns: "Mug, Bowl, Plate, Teapot, Chopping Board, Knife, Saucepan, Frying Pan, Serving Tray, \
                Jug, Spice Jar, Apron, Kettle, Water Bottle, Lunch Box, Baking Tin, Ladle",
        kinds: "Modern, Rustic, Everyday, Hand-Glazed, Large, Speckled, Classic, Handmade, Family, \
                Coastal, Festive, Painted, Studio, Camp",
        purposes: "breakfast, the oven, picnics, guests, large families, gifts, baking, the office, \
               students, sunday lunch",
        materials: "Stoneware, Enamel, Olive Wood, Stainless Steel, Cast Iron, Glass, Copper, Mvule",
        price_range: (250, 7_500),
        weight_range_grams: (120, 2_800),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Clothing",
        sku_prefix: "CLO",
        nouns: "T-Shirt, Shirt, Dress, Skirt, Jacket, Hoodie, Trousers, Kikoy, Scarf, Cardigan, \
                Jumper, Shorts, Kimono, Blouse, Waistcoat, Raincoat, Kaftan",
        kinds: "Relaxed, Slim, Printed, Striped, Embroidered, Long, Cropped, Washed, Classic, \
                Tailored, Oversized, Pocket, Reversible, Pleated",
        purposes: "men, women, work, the beach, weddings, cool evenings, travel, the weekend, teens, safari",
        materials: "Cotton, Linen, Denim, Wool, Jersey, Bamboo Viscose, Kitenge, Organic Cotton",
        sizes: LETTER_SIZES,
        price_range: (800, 9_500),
        size_price_growth: 0,
        weight_range_grams: (120, 1_100),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Electronics",
        sku_prefix: "ELE",
        nouns: "Headphones, Speaker, Power Bank, Solar Lamp, Phone Case, Charger, Keyboard, Webcam, \
                Router, Radio, Memory Card, Tablet, Smart Plug, Projector, Microphone, Monitor, Drone",
        kinds: "Wireless, Compact, Rugged, Waterproof, Fast, Slim, Noise-Cancelling, Foldable, Pro, \
                Lite, Long-Life, Solar, Travel, Twin",
        purposes: "home, travel, gaming, the office, students, camping, streaming, small shops, the car, music",
        materials: "Aluminium, Graphite, Matte Plastic, Carbon Fibre, Recycled Plastic, Tempered Glass",
        sizes: "Mini, Standard, Plus, Pro, Max, Ultra",
        price_range: (900, 65_000),
        size_price_growth: 18,
        weight_range_grams: (40, 2_500),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Food & Drink",
        sku_prefix: "FOO",
        nouns: "Coffee Roast, Black Tea, Green Tea, Honey Blend, Nut Butter, Spice Mix, Hot Sauce, \
                Chutney, Granola, Dried Mango Slice, Chocolate Bar, Cashew Snack, Herbal Infusion, \
                Fruit Jam, Cooking Oil, Rice Blend, Biscuit",
        kinds: "Single-Origin, Dark, Light, Smoked, Organic, Wild, Roasted, Spiced, Unsweetened, \
                Fair-Trade, Classic, Small-Batch, Raw, Mild",
        purposes: "breakfast, sharing, the office, gifts, baking, the lunch box, iced drinks, espresso, \
               slow mornings, hikes",
        material_phrase: "Grown near",
        is_durable: false,
        material_option: "Origin",
        materials: "Nyeri, Kericho, Kirinyaga, Meru, Kisii, Mount Elgon, Baringo, Kilifi",
        sizes: "100 g, 250 g, 500 g, 1 kg, 2 kg, 5 kg",
        style_option: ("Pack", "Bag, Tin, Jar, Gift Box, Refill, Sampler"),
        price_range: (180, 1_900),
        size_price_growth: 55,
        weight_range_grams: (110, 1_200),
    },
    ThemeTemplate {
        name: "Outdoors & Travel",
        sku_prefix: "OUT",
        nouns: "Tent, Sleeping Bag, Backpack, Camping Stove, Head Torch, Cool Box, Hammock, Camp Chair, \
                Walking Pole, Duffel Bag, Water Filter, Binoculars, Compass, Dry Bag, Safari Hat, \
                Picnic Blanket, Mosquito Net",
        kinds: "Ultralight, Four-Season, Folding, Waterproof, Padded, Rugged, Quick-Dry, Insulated, \
                Expedition, Compact, Weekend, Trail, Breathable, Family",
        purposes: "safari, Mount Kenya, the coast, two people, families, long hikes, cold nights, day trips, \
               fishing, festivals",
        materials: "Ripstop, Canvas, Nylon, Aluminium, Recycled Polyester, Waxed Cotton, Titanium",
        price_range: (700, 32_000),
        weight_range_grams: (200, 5_500),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Crafts & Art",
        sku_prefix: "CRA",
        nouns: "Basket, Carving, Wall Hanging, Print, Painting, Figurine, Mask, Beaded Bowl, Drum, \
                Paintbrush, Sketchbook, Yarn Ball, Weaving Loom, Sculpture, Batik, Bead Kit, Ornament",
        kinds: "Hand-Carved, Traditional, Abstract, Woven, Hand-Painted, Miniature, Signed, Geometric, \
                Dyed, Framed, Coiled, Tall, Festive, Heirloom",
        purposes: "the wall, gifts, collectors, the table, children, the veranda, beginners, weddings, \
               the studio, the office",
        materials: "Sisal, Soapstone, Ebony, Jacaranda, Banana Fibre, Recycled Glass, Cotton, Raffia",
        price_range: (400, 14_000),
        weight_range_grams: (80, 2_400),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Shoes",
        sku_prefix: "SHO",
        nouns: "Sandal, Sneaker, Ankle Boot, Loafer, Slipper, Hiking Boot, Ballet Flat, Espadrille, Mule, \
                Clog, Brogue, Running Shoe, Rain Boot, Court Shoe, Desert Boot, Trainer, Flip-Flop",
        kinds: "Beaded, Classic, Braided, Slip-On, Lace-Up, Stitched, Woven, Soft, Everyday, Cushioned, \
                Embossed, Wide, Vintage, Two-Tone",
        purposes: "men, women, work, the beach, long walks, evenings, travel, children, rainy days, the city",
        materials: "Leather, Suede, Canvas, Kitenge, Recycled Tyre, Cork, Vegan Leather, Kikoy Cloth",
        sizes: "36, 37, 38, 39, 40, 41, 42, 43, 44, 45",
        price_range: (950, 13_500),
        size_price_growth: 0,
        weight_range_grams: (180, 1_500),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Beauty & Care",
        sku_prefix: "BEA",
        nouns: "Soap, Body Butter, Face Oil, Shampoo, Lip Balm, Hair Mask, Hand Cream, Body Scrub, \
                Perfume, Beard Balm, Bath Salt, Face Mask, Deodorant, Sun Lotion, Hairbrush, Toner, Candle",
        kinds: "Gentle, Nourishing, Unscented, Cooling, Soothing, Rich, Light, Brightening, Whipped, \
                Solid, Organic, Calming, Repairing, Daily",
        purposes: "dry skin, curly hair, sensitive skin, travel, men, gifts, the bath, bedtime, babies, sunny days",
        material_phrase: "Made with",
        is_durable: false,
        material_option: "Base",
        materials: "Shea Butter, Coconut Oil, Aloe, Moringa, Baobab Oil, Honey, Hibiscus, Avocado Oil",
        sizes: "30 ml, 50 ml, 100 ml, 200 ml, 500 ml, 1 l",
        style_option: ("Scent", "Lemongrass, Rose, Vanilla, Eucalyptus, Frangipani, Cedar, Unscented, Jasmine"),
        price_range: (220, 3_200),
        size_price_growth: 40,
        weight_range_grams: (40, 600),
    },
    ThemeTemplate {
        name: "Garden & Farm",
        sku_prefix: "GAR",
        nouns: "Watering Can, Seed Packet, Spade, Plant Pot, Hose, Wheelbarrow, Pruner, Rake, Beehive, \
                Drip Kit, Rain Barrel, Glove Pair, Bird Feeder, Seed Tray, Compost Bin, Trellis, Hoe",
        purposes: "vegetables, flowers, small plots, balconies, herbs, the greenhouse, dry seasons, \
               beginners, fruit trees, the shamba",
        materials: "Galvanised Steel, Terracotta, Bamboo, Recycled Plastic, Cypress, Copper, Jute",
        price_range: (150, 12_000),
        weight_range_grams: (60, 9_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Toys & Games",
        sku_prefix: "TOY",
        nouns: "Puzzle, Building Set, Doll, Board Game, Kite, Toy Truck, Soft Toy, Card Game, Spinning Top, \
                Marble Run, Bao Board, Chess Set, Rattle, Play Mat, Skipping Rope, Yo-Yo, Train Set",
        kinds: "Chunky, Giant, Pocket, Classic, Colourful, Magnetic, Musical, Travel, Stacking, \
                Glow, Animal, Alphabet, Safari, Deluxe",
        purposes: "toddlers, ages three to five, ages six to nine, the family, rainy days, car trips, \
               two players, birthdays, school, the garden",
        materials: "Beech, Cotton, Felt, Cardboard, Bamboo, Recycled Plastic, Pine",
        price_range: (250, 6_800),
        weight_range_grams: (90, 1_900),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Books & Stationery",
        sku_prefix: "BOO",
        nouns: "Notebook, Diary, Pen, Novel, Cookbook, Atlas, Greeting Card, Sketch Pad, Calendar, \
                Field Guide, Picture Book, Pencil Case, Bookmark, Planner, Poster, Marker Set, Story Book",
        kinds: "Illustrated, Pocket, Ruled, Hardbound, Annotated, Classic, Refillable, Weekly, Bilingual, \
                Large-Print, Dotted, Signed, Spiral, Collector",
        purposes: "school, the office, travel, young readers, gifts, safari, Swahili learners, students, \
               bird watchers, journalling",
        material_phrase: "Printed on",
        material_option: "Paper",
        materials: "Recycled Paper, Cotton Paper, Kraft, Cream Paper, Stone Paper, Elephant-Dung Paper",
        sizes: "A6, A5, B5, A4, A3, A2",
        price_range: (120, 3_800),
        size_price_growth: 25,
        weight_range_grams: (30, 900),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Sports & Fitness",
        sku_prefix: "SPO",
        nouns: "Football, Yoga Mat, Dumbbell, Running Vest, Skipping Rope, Tennis Racket, Gym Bag, Jersey, \
                Resistance Band, Swim Goggles, Rugby Ball, Foam Roller, Kettlebell, Netball, Shin Guard, \
                Cricket Bat, Basketball",
        purposes: "training, matches, beginners, clubs, school, running, the gym, recovery, juniors, home",
        materials: "Rubber, Mesh, Neoprene, Cork, Cast Iron, Recycled Polyester, Willow",
        sizes: LETTER_SIZES,
        price_range: (350, 11_000),
        size_price_growth: 5,
        weight_range_grams: (100, 6_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Furniture",
        sku_prefix: "FUR",
        nouns: "Chair, Coffee Table, Stool, Bookcase, Bed Frame, Sofa, Sideboard, Desk, Bench, Wardrobe, \
                Nightstand, Dining Table, Armchair, TV Stand, Shoe Rack, Daybed, Ottoman",
        kinds: "Folding, Carved, Modern, Upholstered, Stackable, Extending, Low, Rustic, Woven, \
                Mid-Century, Slim, Solid, Corner, Reclaimed",
        purposes: "the bedroom, the veranda, the living room, the office, small flats, children, \
               the dining room, the garden, guests, the hallway",
        materials: "Mahogany, Mvule, Rattan, Acacia, Cypress, Bamboo, Steel, Oak",
        price_range: (2_800, 95_000),
        size_price_growth: 20,
        weight_range_grams: (3_000, 60_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Jewellery & Watches",
        sku_prefix: "JEW",
        nouns: "Necklace, Bracelet, Ring, Earrings, Anklet, Watch, Brooch, Pendant, Bangle, Cufflinks, \
                Choker, Hairpin, Charm, Locket, Watch Strap, Jewellery Box, Nose Ring",
        kinds: "Beaded, Layered, Hammered, Delicate, Bold, Engraved, Braided, Classic, Maasai, Twisted, \
                Stacking, Polished, Vintage, Birthstone",
        purposes: "weddings, gifts, everyday wear, evenings, men, women, children, anniversaries, \
               graduations, travel",
        materials: "Brass, Silver, Gold Plate, Recycled Glass, Horn, Copper, Leather, Tsavorite",
        price_range: (350, 42_000),
        size_price_growth: 0,
        weight_range_grams: (5, 180),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Tools & Hardware",
        sku_prefix: "TOO",
        nouns: "Hammer, Drill, Screwdriver, Spanner, Saw, Pliers, Tape Measure, Ladder, Padlock, Toolbox, \
                Paint Roller, Spirit Level, Chisel, Sander, Work Light, Extension Lead, Clamp",
        purposes: "builders, carpenters, the home, electricians, mechanics, beginners, plumbing, \
               the workshop, painting, fine work",
        materials: "Forged Steel, Chrome Vanadium, Aluminium, Fibreglass, Hickory, Brass, Carbon Steel",
        price_range: (200, 28_000),
        weight_range_grams: (100, 9_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Pets",
        sku_prefix: "PET",
        nouns: "Dog Collar, Lead, Cat Bed, Feeding Bowl, Scratching Post, Chew Toy, Pet Carrier, Bird Cage, \
                Aquarium, Grooming Brush, Dog Coat, Treat Pouch, Harness, Cat Tunnel, Kennel, Pet Blanket, Perch",
        purposes: "puppies, large dogs, cats, kittens, travel, long walks, small pets, senior dogs, birds, training",
        price_range: (200, 9_800),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Music",
        sku_prefix: "MUS",
        nouns: "Guitar, Djembe, Kalimba, Ukulele, Nyatiti, Flute, Keyboard Stand, Shaker, Violin, Trumpet, \
                Guitar Strap, Drumstick Pair, Tuner, Amplifier, Marimba, Music Stand, Harmonica",
        kinds: "Concert, Acoustic, Travel, Student, Hand-Carved, Electric, Studio, Classic, Pocket, \
                Soprano, Vintage, Stage, Deluxe, Twelve-Note",
        purposes: "beginners, choirs, the stage, schools, children, practice, recording, travel, bands, church",
        materials: "Mahogany, Spruce, Goatskin, Bamboo, Rosewood, Brass, Maple",
        price_range: (450, 58_000),
        weight_range_grams: (60, 7_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Office",
        sku_prefix: "OFF",
        nouns: "Desk Organiser, Stapler, Filing Box, Whiteboard, Office Chair, Label Printer, Desk Pad, \
                Paper Tray, Calculator, Laptop Stand, Footrest, Monitor Arm, Pen Holder, Shredder, \
                Cash Box, Cable Clip, Clipboard",
        purposes: "home, small teams, reception, shared desks, students, meetings, shops, schools, travel, accountants",
        price_range: (150, 21_000),
        weight_range_grams: (80, 8_000),
        ..DEFAULT_TEMPLATE
    },
    ThemeTemplate {
        name: "Cycling & Motoring",
        sku_prefix: "CYC",
        nouns: "Bicycle, Cycle Helmet, Bike Lock, Pannier, Tyre, Pump, Seat Cover, Car Charger, Phone Mount, \
                Bell, Saddle, Rear Light, Motorbike Glove, Roof Rack, Jump Starter, Repair Kit, Sunshade",
        purposes: "commuting, boda riders, rough roads, children, touring, night rides, families, the city, \
               rainy days, racing",
        sizes: LETTER_SIZES,
        price_range: (250, 48_000),
        size_price_growth: 4,
        ..DEFAULT_TEMPLATE
    },
];
