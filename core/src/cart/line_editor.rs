//! Edits of cart lines in memory: additions and updates, validated together. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    entity::CartLineRow,
    lines::{AddMode, LineAdjustment, LineRequest, LineUpdate, MAX_CART_LINES},
};
use crate::{
    base::{
        Result, Validator,
        error::{ErrorFacts, PublicErrorCode},
        money::MAX_MINOR_UNITS,
        validation::InputScope,
    },
    pricing::{SellableVariant, Unavailability, quote::MAX_LINE_QUANTITY},
};

/// Where and when lines are edited.
#[derive(Debug, Clone, Copy)]
pub(super) struct EditContext<'a> {
    /// The cart.
    pub(super) cart_id: i64,
    /// The time of the edit.
    pub(super) now: DateTime<Utc>,
    /// The variants of the lines and of the requests.
    pub(super) variants: &'a HashMap<i64, SellableVariant>,
}

/// The lines after an edit, and what must be written.
#[derive(Debug)]
pub(super) struct EditedLines {
    /// All lines, in order. New ones have no ID yet.
    pub(super) lines: Vec<CartLineRow>,
    /// The indexes of new and changed lines.
    pub(super) changed: Vec<usize>,
    /// The IDs of lines to delete before the changed ones are written: those whose place in the unique key changes, and
    /// those combined with another. Empty unless attributes change.
    pub(super) replaced_ids: Vec<i64>,
    /// The requests of which fewer units were added.
    pub(super) adjustments: Vec<LineAdjustment>,
}

/// The quantity that a line should get.
#[derive(Debug, Clone, Copy)]
struct RequestedQuantity {
    variant_id: i64,
    /// The units to add to the variant's total.
    quantity: i64,
    /// The units that the line keeps.
    current_quantity: i64,
    /// The input field that names the line.
    field: &'static str,
}

/// Applies requests to the lines of a cart.
pub(super) struct LineEditor<'a> {
    context: EditContext<'a>,
    existing: &'a [CartLineRow],
    lines: Vec<CartLineRow>,
    /// The quantities by variant: a variant may have several lines.
    quantities: HashMap<i64, i64>,
    adjustments: Vec<LineAdjustment>,
}

impl<'a> LineEditor<'a> {
    pub(super) fn new(context: EditContext<'a>, existing: &'a [CartLineRow]) -> Self {
        let mut quantities = HashMap::new();
        for line in existing {
            *quantities.entry(line.variant_id).or_insert(0) += line.quantity;
        }
        Self { context, existing, lines: existing.to_vec(), quantities, adjustments: Vec::new() }
    }

    /// Adds quantities to lines with the same variant and attributes, or as new lines.
    pub(super) fn add(mut self, requests: &[LineRequest], mode: AddMode, path: &str) -> Result<EditedLines> {
        let mut validator = Validator::default();
        for (index, request) in requests.iter().enumerate() {
            let quantity = match mode {
                AddMode::Strict => request.quantity,
                AddMode::Adjust => self.adjust_to_stock(request, format!("{path}.{index}")),
            };
            if quantity != 0 || request.quantity == 0 {
                self.add_line(request, quantity, &mut validator.at(path).index(index));
            }
        }
        self.finish(validator, path)
    }

    /// Sets quantities and attributes of lines. Lines that become equal are combined into the first of them.
    pub(super) fn update(mut self, updates: &[LineUpdate], path: &str) -> Result<EditedLines> {
        let mut validator = Validator::default();
        let updated_ids: HashSet<i64> = updates.iter().map(|update| update.line_id).collect();
        for line in self.lines.iter().filter(|line| updated_ids.contains(&line.id)) {
            *self.quantities.entry(line.variant_id).or_insert(0) -= line.quantity;
        }
        let mut seen_ids = HashSet::new();
        for (index, update) in updates.iter().enumerate() {
            let mut input = validator.at(path).index(index);
            if seen_ids.insert(update.line_id) {
                self.update_line(update, &mut input);
            } else {
                input.reject("id", "this line is named twice");
            }
        }
        self.combine_equal_lines(&mut validator.at(path));
        self.finish(validator, path)
    }

    /// Returns the units of a request that are in stock, and records the adjustment if they are fewer than requested.
    fn adjust_to_stock(&mut self, request: &LineRequest, path: String) -> i64 {
        let LineRequest { variant_id, quantity, .. } = *request;
        let variant = self.context.variants.get(&variant_id).filter(|variant| variant.is_for_sale);
        let Some(available) = variant.and_then(SellableVariant::max_quantity) else { return quantity };
        let in_cart = self.quantities.get(&variant_id).copied().unwrap_or_default();
        let remaining = (available - in_cart).max(0);
        if quantity <= remaining {
            return quantity;
        }
        let adjustment = LineAdjustment { path, variant_id, requested: quantity, added: remaining, available };
        self.adjustments.push(adjustment);
        remaining
    }

    fn add_line(&mut self, request: &LineRequest, quantity: i64, input: &mut InputScope<'_>) {
        let LineRequest { variant_id, quantity: _, attributes } = request;
        let attribute_digest = attributes.digest();
        let is_equal = |line: &CartLineRow| line.variant_id == *variant_id && line.attribute_digest == attribute_digest;
        let line_index = self.lines.iter().position(is_equal);
        let current_quantity = line_index.map_or(0, |line_index| self.lines[line_index].quantity);
        let requested = RequestedQuantity { variant_id: *variant_id, quantity, current_quantity, field: "variantId" };
        let Some(variant) = self.validate(requested, input) else { return };
        *self.quantities.entry(*variant_id).or_insert(0) += quantity;
        let unit_price = variant.unit_price;
        if let Some(line_index) = line_index {
            let line = &mut self.lines[line_index];
            (line.quantity, line.unit_price) = (current_quantity + quantity, unit_price);
            return;
        }
        let last_position = self.lines.iter().map(|line| line.position).max();
        self.lines.push(CartLineRow {
            id: 0,
            cart_id: self.context.cart_id,
            variant_id: *variant_id,
            position: last_position.map_or(0, |position| position.saturating_add(1)),
            quantity,
            unit_price,
            attributes: attributes.to_json(),
            attribute_digest,
            created_at: self.context.now,
            updated_at: self.context.now,
        });
    }

    fn update_line(&mut self, update: &LineUpdate, input: &mut InputScope<'_>) {
        let Some(line_index) = self.lines.iter().position(|line| line.id == update.line_id) else {
            input.reject_as(PublicErrorCode::NotFound, "id", "there is no such line in the cart");
            return;
        };
        let CartLineRow { variant_id, quantity, .. } = self.lines[line_index];
        let quantity = update.quantity.unwrap_or(quantity);
        let Some(variant) =
            self.validate(RequestedQuantity { variant_id, quantity, current_quantity: 0, field: "id" }, input)
        else {
            return;
        };
        *self.quantities.entry(variant_id).or_insert(0) += quantity;
        let line = &mut self.lines[line_index];
        (line.quantity, line.unit_price) = (quantity, variant.unit_price);
        if let Some(attributes) = &update.attributes {
            (line.attributes, line.attribute_digest) = (attributes.to_json(), attributes.digest());
        }
    }

    fn combine_equal_lines(&mut self, input: &mut InputScope<'_>) {
        let mut combined: Vec<CartLineRow> = Vec::with_capacity(self.lines.len());
        for line in self.lines.drain(..) {
            let Some(equal) = combined.iter_mut().find(|other| other.is_equal(&line)) else {
                combined.push(line);
                continue;
            };
            equal.quantity += line.quantity;
            if equal.quantity > MAX_LINE_QUANTITY {
                let message = format!(
                    "a line has at most {MAX_LINE_QUANTITY}; lines with these attributes would make {}",
                    equal.quantity
                );
                input.reject("", message);
            }
        }
        self.lines = combined;
    }

    /// Checks the limits of the cart and finds the changes.
    fn finish(mut self, mut validator: Validator, path: &str) -> Result<EditedLines> {
        let mut input = validator.at(path);
        if self.lines.len() > MAX_CART_LINES {
            let message =
                format!("a cart has at most {MAX_CART_LINES} lines; this one would have {}", self.lines.len());
            input.reject("", message);
        }
        let list_value = |line: &CartLineRow| {
            let list_price = self.context.variants.get(&line.variant_id).map_or(0, |variant| variant.list_price);
            i128::from(list_price) * i128::from(line.quantity)
        };
        // The limit leaves a margin for tax.
        if self.lines.iter().map(list_value).sum::<i128>() > i128::from(MAX_MINOR_UNITS / 2) {
            input.reject("", "this comes to more than the shop can count; take fewer");
        }
        validator.finish()?;
        let before: HashMap<i64, &CartLineRow> = self.existing.iter().map(|line| (line.id, line)).collect();
        let is_changed = |line: &CartLineRow| before.get(&line.id) != Some(&line);
        let is_moved = |line: &CartLineRow| {
            before.get(&line.id).is_some_and(|before| before.attribute_digest != line.attribute_digest)
        };
        let remaining_count = self.lines.iter().filter(|line| before.contains_key(&line.id)).count();
        let has_moves = remaining_count < before.len() || self.lines.iter().any(is_moved);
        let changed: Vec<usize> = (0..self.lines.len()).filter(|index| is_changed(&self.lines[*index])).collect();
        let mut replaced_ids = Vec::new();
        if has_moves {
            let unchanged_ids: HashSet<i64> =
                self.lines.iter().filter(|line| !is_changed(line)).map(|line| line.id).collect();
            replaced_ids = before.into_keys().filter(|id| !unchanged_ids.contains(id)).collect();
            replaced_ids.sort_unstable();
        }
        for index in &changed {
            self.lines[*index].updated_at = self.context.now;
        }
        Ok(EditedLines { lines: self.lines, changed, replaced_ids, adjustments: self.adjustments })
    }

    /// Validates a quantity against the limits and the stock, which all lines of the variant share. Returns the variant,
    /// or gathers an error.
    fn validate(&self, requested: RequestedQuantity, input: &mut InputScope<'_>) -> Option<&'a SellableVariant> {
        let RequestedQuantity { variant_id, quantity, current_quantity, field } = requested;
        let facts = ErrorFacts { variant_id: Some(variant_id), ..ErrorFacts::default() };
        let limit_facts = ErrorFacts { limit: Some(MAX_LINE_QUANTITY), ..facts };
        if !(1..=MAX_LINE_QUANTITY).contains(&quantity) {
            let message = format!("a quantity is from 1 to {MAX_LINE_QUANTITY}");
            input.reject_with_facts(PublicErrorCode::BadUserInput, "quantity", message, limit_facts);
            return None;
        }
        let Some(variant) = self.context.variants.get(&variant_id) else {
            input.reject_with_facts(PublicErrorCode::NotFound, field, "there is no such variant", facts);
            return None;
        };
        let in_cart = self.quantities.get(&variant_id).copied().unwrap_or_default();
        match variant.unavailability(in_cart + quantity) {
            Some(Unavailability::NotForSale) => {
                let message = "the shop does not sell this";
                input.reject_with_facts(PublicErrorCode::ProductNotAvailable, field, message, facts);
            }
            Some(Unavailability::SoldOut) => {
                let facts = ErrorFacts { available: Some(0), ..facts };
                let message = "this is sold out: 0 are left";
                input.reject_with_facts(PublicErrorCode::InsufficientStock, "quantity", message, facts);
            }
            Some(Unavailability::InsufficientStock(available)) => {
                let cart_note = if in_cart > 0 { format!("; the cart has {in_cart}") } else { String::new() };
                let message = format!("only {available} are left{cart_note}");
                let facts = ErrorFacts { available: Some(available), ..facts };
                input.reject_with_facts(PublicErrorCode::InsufficientStock, "quantity", message, facts);
            }
            None if current_quantity + quantity > MAX_LINE_QUANTITY => {
                let message =
                    format!("a line has at most {MAX_LINE_QUANTITY}; this would make {}", current_quantity + quantity);
                input.reject_with_facts(PublicErrorCode::BadUserInput, "quantity", message, limit_facts);
            }
            None => return Some(variant),
        }
        None
    }
}
