//! What the demo shop sells: one theme for each root of its category tree, with the words that suit it.

/// A theme as it is written down here: lists are words with `, ` between them.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The root category.
    pub name: &'static str,
    /// How its stock numbers begin.
    pub code: &'static str,
    /// The things sold, in the singular.
    pub nouns: &'static str,
    /// Kinds that every noun comes in.
    pub kinds: &'static str,
    /// What they are for, written as in the middle of a sentence.
    pub uses: &'static str,
    /// How a sentence about the material begins.
    pub made: &'static str,
    /// What they are made of, or where they come from.
    pub materials: &'static str,
    /// Whether they can be mended and wiped, unlike tea.
    pub lasts: bool,
    /// The name of the option to choose among those.
    pub third: &'static str,
    /// Smallest first.
    pub sizes: &'static str,
    /// The option beside the size, or nothing for `Colour`, and its values.
    pub looks: (&'static str, &'static str),
    /// The lowest and highest price, in whole shillings.
    pub price: (u64, u64),
    /// How much dearer, in percent, each size is than the one before.
    pub growth: u64,
    /// The lowest and highest weight, in grams.
    pub grams: (u64, u64),
}

const COLOURS: (&str, &str) = (
    "Colour",
    "Black, White, Sand, Terracotta, Indigo, Olive, Rust, Sky Blue, Charcoal, Mustard, Forest Green, \
     Coral, Ivory, Plum, Teal, Maroon",
);
const LETTERS: &str = "XS, S, M, L, XL, XXL, 3XL";
const WORDS: &str = "Mini, Small, Medium, Large, Extra Large, Family";
const PLAIN: Source = Source {
    name: "",
    code: "",
    nouns: "",
    kinds: "Classic, Compact, Folding, Portable, Slim, Everyday, Heavy-Duty, Lightweight, Modern, \
            Starter, Deluxe, Premium, Original, Recycled",
    uses: "home, travel, work, gifts, small spaces, beginners, the weekend, the family, school, guests",
    made: "Made of",
    materials: "Steel, Aluminium, Bamboo, Rubber, Canvas, Nylon, Cotton, Leather",
    lasts: true,
    third: "Material",
    sizes: WORDS,
    looks: COLOURS,
    price: (300, 9_000),
    growth: 12,
    grams: (150, 3_000),
};

/// Every theme; a small shop has only the first few.
pub const THEMES: [Source; 20] = [
    Source {
        name: "Home & Living",
        code: "HOM",
        nouns: "Desk Lamp, Cushion, Throw, Rug, Vase, Candle Holder, Wall Clock, Mirror, Curtain, \
                Storage Basket, Picture Frame, Floor Lamp, Doormat, Lantern, Planter, Wall Shelf, Bedspread",
        kinds: "Handwoven, Rustic, Modern, Classic, Patterned, Carved, Minimal, Coastal, Vintage, \
                Slim, Striped, Hand-Painted, Folding, Studio",
        uses: "the bedroom, the living room, the veranda, the hallway, small rooms, guests, gifts, \
               the study, the bathroom, the nursery",
        materials: "Acacia, Brass, Sisal, Rattan, Bamboo, Linen, Clay, Mango Wood",
        price: (650, 18_000),
        ..PLAIN
    },
    Source {
        name: "Kitchen & Dining",
        code: "KIT",
        nouns: "Mug, Bowl, Plate, Teapot, Chopping Board, Knife, Saucepan, Frying Pan, Serving Tray, \
                Jug, Spice Jar, Apron, Kettle, Water Bottle, Lunch Box, Baking Tin, Ladle",
        kinds: "Modern, Rustic, Everyday, Hand-Glazed, Large, Speckled, Classic, Handmade, Family, \
                Coastal, Festive, Painted, Studio, Camp",
        uses: "breakfast, the oven, picnics, guests, large families, gifts, baking, the office, \
               students, sunday lunch",
        materials: "Stoneware, Enamel, Olive Wood, Stainless Steel, Cast Iron, Glass, Copper, Mvule",
        price: (250, 7_500),
        grams: (120, 2_800),
        ..PLAIN
    },
    Source {
        name: "Clothing",
        code: "CLO",
        nouns: "T-Shirt, Shirt, Dress, Skirt, Jacket, Hoodie, Trousers, Kikoy, Scarf, Cardigan, \
                Jumper, Shorts, Kimono, Blouse, Waistcoat, Raincoat, Kaftan",
        kinds: "Relaxed, Slim, Printed, Striped, Embroidered, Long, Cropped, Washed, Classic, \
                Tailored, Oversized, Pocket, Reversible, Pleated",
        uses: "men, women, work, the beach, weddings, cool evenings, travel, the weekend, teens, safari",
        materials: "Cotton, Linen, Denim, Wool, Jersey, Bamboo Viscose, Kitenge, Organic Cotton",
        sizes: LETTERS,
        price: (800, 9_500),
        growth: 0,
        grams: (120, 1_100),
        ..PLAIN
    },
    Source {
        name: "Electronics",
        code: "ELE",
        nouns: "Headphones, Speaker, Power Bank, Solar Lamp, Phone Case, Charger, Keyboard, Webcam, \
                Router, Radio, Memory Card, Tablet, Smart Plug, Projector, Microphone, Monitor, Drone",
        kinds: "Wireless, Compact, Rugged, Waterproof, Fast, Slim, Noise-Cancelling, Foldable, Pro, \
                Lite, Long-Life, Solar, Travel, Twin",
        uses: "home, travel, gaming, the office, students, camping, streaming, small shops, the car, music",
        materials: "Aluminium, Graphite, Matte Plastic, Carbon Fibre, Recycled Plastic, Tempered Glass",
        sizes: "Mini, Standard, Plus, Pro, Max, Ultra",
        price: (900, 65_000),
        growth: 18,
        grams: (40, 2_500),
        ..PLAIN
    },
    Source {
        name: "Food & Drink",
        code: "FOO",
        nouns: "Coffee Roast, Black Tea, Green Tea, Honey Blend, Nut Butter, Spice Mix, Hot Sauce, \
                Chutney, Granola, Dried Mango Slice, Chocolate Bar, Cashew Snack, Herbal Infusion, \
                Fruit Jam, Cooking Oil, Rice Blend, Biscuit",
        kinds: "Single-Origin, Dark, Light, Smoked, Organic, Wild, Roasted, Spiced, Unsweetened, \
                Fair-Trade, Classic, Small-Batch, Raw, Mild",
        uses: "breakfast, sharing, the office, gifts, baking, the lunch box, iced drinks, espresso, \
               slow mornings, hikes",
        made: "Grown near",
        lasts: false,
        third: "Origin",
        materials: "Nyeri, Kericho, Kirinyaga, Meru, Kisii, Mount Elgon, Baringo, Kilifi",
        sizes: "100 g, 250 g, 500 g, 1 kg, 2 kg, 5 kg",
        looks: ("Pack", "Bag, Tin, Jar, Gift Box, Refill, Sampler"),
        price: (180, 1_900),
        growth: 55,
        grams: (110, 1_200),
    },
    Source {
        name: "Outdoors & Travel",
        code: "OUT",
        nouns: "Tent, Sleeping Bag, Backpack, Camping Stove, Head Torch, Cool Box, Hammock, Camp Chair, \
                Walking Pole, Duffel Bag, Water Filter, Binoculars, Compass, Dry Bag, Safari Hat, \
                Picnic Blanket, Mosquito Net",
        kinds: "Ultralight, Four-Season, Folding, Waterproof, Padded, Rugged, Quick-Dry, Insulated, \
                Expedition, Compact, Weekend, Trail, Breathable, Family",
        uses: "safari, Mount Kenya, the coast, two people, families, long hikes, cold nights, day trips, \
               fishing, festivals",
        materials: "Ripstop, Canvas, Nylon, Aluminium, Recycled Polyester, Waxed Cotton, Titanium",
        price: (700, 32_000),
        grams: (200, 5_500),
        ..PLAIN
    },
    Source {
        name: "Crafts & Art",
        code: "CRA",
        nouns: "Basket, Carving, Wall Hanging, Print, Painting, Figurine, Mask, Beaded Bowl, Drum, \
                Paintbrush, Sketchbook, Yarn Ball, Weaving Loom, Sculpture, Batik, Bead Kit, Ornament",
        kinds: "Hand-Carved, Traditional, Abstract, Woven, Hand-Painted, Miniature, Signed, Geometric, \
                Dyed, Framed, Coiled, Tall, Festive, Heirloom",
        uses: "the wall, gifts, collectors, the table, children, the veranda, beginners, weddings, \
               the studio, the office",
        materials: "Sisal, Soapstone, Ebony, Jacaranda, Banana Fibre, Recycled Glass, Cotton, Raffia",
        price: (400, 14_000),
        grams: (80, 2_400),
        ..PLAIN
    },
    Source {
        name: "Shoes",
        code: "SHO",
        nouns: "Sandal, Sneaker, Ankle Boot, Loafer, Slipper, Hiking Boot, Ballet Flat, Espadrille, Mule, \
                Clog, Brogue, Running Shoe, Rain Boot, Court Shoe, Desert Boot, Trainer, Flip-Flop",
        kinds: "Beaded, Classic, Braided, Slip-On, Lace-Up, Stitched, Woven, Soft, Everyday, Cushioned, \
                Embossed, Wide, Vintage, Two-Tone",
        uses: "men, women, work, the beach, long walks, evenings, travel, children, rainy days, the city",
        materials: "Leather, Suede, Canvas, Kitenge, Recycled Tyre, Cork, Vegan Leather, Kikoy Cloth",
        sizes: "36, 37, 38, 39, 40, 41, 42, 43, 44, 45",
        price: (950, 13_500),
        growth: 0,
        grams: (180, 1_500),
        ..PLAIN
    },
    Source {
        name: "Beauty & Care",
        code: "BEA",
        nouns: "Soap, Body Butter, Face Oil, Shampoo, Lip Balm, Hair Mask, Hand Cream, Body Scrub, \
                Perfume, Beard Balm, Bath Salt, Face Mask, Deodorant, Sun Lotion, Hairbrush, Toner, Candle",
        kinds: "Gentle, Nourishing, Unscented, Cooling, Soothing, Rich, Light, Brightening, Whipped, \
                Solid, Organic, Calming, Repairing, Daily",
        uses: "dry skin, curly hair, sensitive skin, travel, men, gifts, the bath, bedtime, babies, sunny days",
        made: "Made with",
        lasts: false,
        third: "Base",
        materials: "Shea Butter, Coconut Oil, Aloe, Moringa, Baobab Oil, Honey, Hibiscus, Avocado Oil",
        sizes: "30 ml, 50 ml, 100 ml, 200 ml, 500 ml, 1 l",
        looks: ("Scent", "Lemongrass, Rose, Vanilla, Eucalyptus, Frangipani, Cedar, Unscented, Jasmine"),
        price: (220, 3_200),
        growth: 40,
        grams: (40, 600),
    },
    Source {
        name: "Garden & Farm",
        code: "GAR",
        nouns: "Watering Can, Seed Packet, Spade, Plant Pot, Hose, Wheelbarrow, Pruner, Rake, Beehive, \
                Drip Kit, Rain Barrel, Glove Pair, Bird Feeder, Seed Tray, Compost Bin, Trellis, Hoe",
        uses: "vegetables, flowers, small plots, balconies, herbs, the greenhouse, dry seasons, \
               beginners, fruit trees, the shamba",
        materials: "Galvanised Steel, Terracotta, Bamboo, Recycled Plastic, Cypress, Copper, Jute",
        price: (150, 12_000),
        grams: (60, 9_000),
        ..PLAIN
    },
    Source {
        name: "Toys & Games",
        code: "TOY",
        nouns: "Puzzle, Building Set, Doll, Board Game, Kite, Toy Truck, Soft Toy, Card Game, Spinning Top, \
                Marble Run, Bao Board, Chess Set, Rattle, Play Mat, Skipping Rope, Yo-Yo, Train Set",
        kinds: "Chunky, Giant, Pocket, Classic, Colourful, Magnetic, Musical, Travel, Stacking, \
                Glow, Animal, Alphabet, Safari, Deluxe",
        uses: "toddlers, ages three to five, ages six to nine, the family, rainy days, car trips, \
               two players, birthdays, school, the garden",
        materials: "Beech, Cotton, Felt, Cardboard, Bamboo, Recycled Plastic, Pine",
        price: (250, 6_800),
        grams: (90, 1_900),
        ..PLAIN
    },
    Source {
        name: "Books & Stationery",
        code: "BOO",
        nouns: "Notebook, Diary, Pen, Novel, Cookbook, Atlas, Greeting Card, Sketch Pad, Calendar, \
                Field Guide, Picture Book, Pencil Case, Bookmark, Planner, Poster, Marker Set, Story Book",
        kinds: "Illustrated, Pocket, Ruled, Hardbound, Annotated, Classic, Refillable, Weekly, Bilingual, \
                Large-Print, Dotted, Signed, Spiral, Collector",
        uses: "school, the office, travel, young readers, gifts, safari, Swahili learners, students, \
               bird watchers, journalling",
        made: "Printed on",
        third: "Paper",
        materials: "Recycled Paper, Cotton Paper, Kraft, Cream Paper, Stone Paper, Elephant-Dung Paper",
        sizes: "A6, A5, B5, A4, A3, A2",
        price: (120, 3_800),
        growth: 25,
        grams: (30, 900),
        ..PLAIN
    },
    Source {
        name: "Sports & Fitness",
        code: "SPO",
        nouns: "Football, Yoga Mat, Dumbbell, Running Vest, Skipping Rope, Tennis Racket, Gym Bag, Jersey, \
                Resistance Band, Swim Goggles, Rugby Ball, Foam Roller, Kettlebell, Netball, Shin Guard, \
                Cricket Bat, Basketball",
        uses: "training, matches, beginners, clubs, school, running, the gym, recovery, juniors, home",
        materials: "Rubber, Mesh, Neoprene, Cork, Cast Iron, Recycled Polyester, Willow",
        sizes: LETTERS,
        price: (350, 11_000),
        growth: 5,
        grams: (100, 6_000),
        ..PLAIN
    },
    Source {
        name: "Furniture",
        code: "FUR",
        nouns: "Chair, Coffee Table, Stool, Bookcase, Bed Frame, Sofa, Sideboard, Desk, Bench, Wardrobe, \
                Nightstand, Dining Table, Armchair, TV Stand, Shoe Rack, Daybed, Ottoman",
        kinds: "Folding, Carved, Modern, Upholstered, Stackable, Extending, Low, Rustic, Woven, \
                Mid-Century, Slim, Solid, Corner, Reclaimed",
        uses: "the bedroom, the veranda, the living room, the office, small flats, children, \
               the dining room, the garden, guests, the hallway",
        materials: "Mahogany, Mvule, Rattan, Acacia, Cypress, Bamboo, Steel, Oak",
        price: (2_800, 95_000),
        growth: 20,
        grams: (3_000, 60_000),
        ..PLAIN
    },
    Source {
        name: "Jewellery & Watches",
        code: "JEW",
        nouns: "Necklace, Bracelet, Ring, Earrings, Anklet, Watch, Brooch, Pendant, Bangle, Cufflinks, \
                Choker, Hairpin, Charm, Locket, Watch Strap, Jewellery Box, Nose Ring",
        kinds: "Beaded, Layered, Hammered, Delicate, Bold, Engraved, Braided, Classic, Maasai, Twisted, \
                Stacking, Polished, Vintage, Birthstone",
        uses: "weddings, gifts, everyday wear, evenings, men, women, children, anniversaries, \
               graduations, travel",
        materials: "Brass, Silver, Gold Plate, Recycled Glass, Horn, Copper, Leather, Tsavorite",
        price: (350, 42_000),
        growth: 0,
        grams: (5, 180),
        ..PLAIN
    },
    Source {
        name: "Tools & Hardware",
        code: "TOO",
        nouns: "Hammer, Drill, Screwdriver, Spanner, Saw, Pliers, Tape Measure, Ladder, Padlock, Toolbox, \
                Paint Roller, Spirit Level, Chisel, Sander, Work Light, Extension Lead, Clamp",
        uses: "builders, carpenters, the home, electricians, mechanics, beginners, plumbing, \
               the workshop, painting, fine work",
        materials: "Forged Steel, Chrome Vanadium, Aluminium, Fibreglass, Hickory, Brass, Carbon Steel",
        price: (200, 28_000),
        grams: (100, 9_000),
        ..PLAIN
    },
    Source {
        name: "Pets",
        code: "PET",
        nouns: "Dog Collar, Lead, Cat Bed, Feeding Bowl, Scratching Post, Chew Toy, Pet Carrier, Bird Cage, \
                Aquarium, Grooming Brush, Dog Coat, Treat Pouch, Harness, Cat Tunnel, Kennel, Pet Blanket, Perch",
        uses: "puppies, large dogs, cats, kittens, travel, long walks, small pets, senior dogs, birds, training",
        price: (200, 9_800),
        ..PLAIN
    },
    Source {
        name: "Music",
        code: "MUS",
        nouns: "Guitar, Djembe, Kalimba, Ukulele, Nyatiti, Flute, Keyboard Stand, Shaker, Violin, Trumpet, \
                Guitar Strap, Drumstick Pair, Tuner, Amplifier, Marimba, Music Stand, Harmonica",
        kinds: "Concert, Acoustic, Travel, Student, Hand-Carved, Electric, Studio, Classic, Pocket, \
                Soprano, Vintage, Stage, Deluxe, Twelve-Note",
        uses: "beginners, choirs, the stage, schools, children, practice, recording, travel, bands, church",
        materials: "Mahogany, Spruce, Goatskin, Bamboo, Rosewood, Brass, Maple",
        price: (450, 58_000),
        grams: (60, 7_000),
        ..PLAIN
    },
    Source {
        name: "Office",
        code: "OFF",
        nouns: "Desk Organiser, Stapler, Filing Box, Whiteboard, Office Chair, Label Printer, Desk Pad, \
                Paper Tray, Calculator, Laptop Stand, Footrest, Monitor Arm, Pen Holder, Shredder, \
                Cash Box, Cable Clip, Clipboard",
        uses: "home, small teams, reception, shared desks, students, meetings, shops, schools, travel, accountants",
        price: (150, 21_000),
        grams: (80, 8_000),
        ..PLAIN
    },
    Source {
        name: "Cycling & Motoring",
        code: "CYC",
        nouns: "Bicycle, Cycle Helmet, Bike Lock, Pannier, Tyre, Pump, Seat Cover, Car Charger, Phone Mount, \
                Bell, Saddle, Rear Light, Motorbike Glove, Roof Rack, Jump Starter, Repair Kit, Sunshade",
        uses: "commuting, boda riders, rough roads, children, touring, night rides, families, the city, \
               rainy days, racing",
        sizes: LETTERS,
        price: (250, 48_000),
        growth: 4,
        ..PLAIN
    },
];
