//! Privacy of the response cache: for every field of the schema, an operation that selects it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use apollo_compiler::{
    ExecutableDocument, Schema,
    ast::Type,
    schema::{ExtendedType, FieldDefinition},
    validation::Valid,
};
use savannah::{
    graphql::cache_policy::{CachePolicies, find_public_field},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp, send_to_cache},
};

integration_tests![
    every_field_that_is_not_listed_as_public_makes_its_operation_private,
    public_fields_have_the_same_values_for_all_callers,
];

/// Types of data about persons, orders, carts, credentials, stock management and operations: none of their fields may
/// be public.
const PRIVATE_TYPES: [&str; 40] = [
    "Account",
    "AccountConnection",
    "AccountEdge",
    "Address",
    "ApiKey",
    "AppliedTax",
    "AuditConnection",
    "AuditEdge",
    "AuditEntry",
    "Cart",
    "CartLine",
    "CartProblem",
    "Cost",
    "Customer",
    "CustomerConnection",
    "CustomerEdge",
    "Fulfillment",
    "GuestSmsUsage",
    "Job",
    "JobConnection",
    "LineCost",
    "Location",
    "Notification",
    "NotificationConnection",
    "NotificationPreference",
    "Order",
    "OrderConnection",
    "OrderEdge",
    "OrderHistoryEntry",
    "OrderLine",
    "OrderLineQuantity",
    "Payment",
    "PostalAddress",
    "Refund",
    "Schedule",
    "Session",
    "ShippingLine",
    "StaffMember",
    "StockLevel",
    "StockMovement",
];
/// Fields whose values depend on the caller, on a token, or on permissions.
const PRIVATE_FIELDS: [(&str, &[&str]); 3] = [
    (
        "Query",
        &[
            "node",
            "nodes",
            "customerExport",
            "customer",
            "customers",
            "me",
            "account",
            "accounts",
            "apiKeys",
            "locations",
            "lowStock",
            "cart",
            "order",
            "orders",
            "shippingMethods",
            "shippingOptions",
            "taxRates",
            "guestSmsUsage",
            "notifications",
            "auditLog",
            "jobs",
            "schedules",
        ],
    ),
    ("Shop", &["version"]),
    ("ProductVariant", &["stockLevels"]),
];

/// The schema as objects with their fields.
struct SchemaFields {
    schema: Valid<Schema>,
    product_slug: String,
    sku: String,
    category_slug: String,
}

impl SchemaFields {
    async fn load(app: &TestApp) -> Self {
        let schema = Schema::parse_and_validate(savannah::graphql::render_sdl(), "schema.graphql");
        let query = "{ products(first: 1, sort: { field: NAME }) { nodes { slug sku category { slug } } } }";
        let listed = app.query(query).await;
        let product = listed.data_at("/products/nodes/0").clone();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            schema: schema.unwrap_or_else(|failed| panic!("{}", failed.errors)),
            product_slug: text(&product["slug"]),
            sku: text(&product["sku"]),
            category_slug: text(&product["category"]["slug"]),
        }
    }

    fn fields_of<'a>(&'a self, type_name: &str) -> Vec<(&'a str, &'a FieldDefinition)> {
        let fields = match self.schema.types.get(type_name) {
            Some(ExtendedType::Object(object)) => &object.fields,
            Some(ExtendedType::Interface(interface)) => &interface.fields,
            _ => return Vec::new(),
        };
        fields.iter().map(|(name, field)| (name.as_str(), &***field)).collect()
    }

    /// Returns the objects that a type can be, for fragments.
    fn objects_of(&self, type_name: &str) -> Vec<String> {
        match self.schema.types.get(type_name) {
            Some(ExtendedType::Union(union)) => union.members.iter().map(ToString::to_string).collect(),
            Some(ExtendedType::Interface(_)) => {
                let implements = |(name, definition): (&apollo_compiler::Name, &ExtendedType)| match definition {
                    ExtendedType::Object(object) if object.implements_interfaces.contains(type_name) => {
                        Some(name.to_string())
                    }
                    _ => None,
                };
                self.schema.types.iter().filter_map(implements).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Renders a value of an input type: the smallest valid one.
    fn render_value(&self, input_type: &Type) -> String {
        if input_type.is_list() {
            return "[]".to_owned();
        }
        let name = input_type.inner_named_type().as_str();
        match self.schema.types.get(name) {
            Some(ExtendedType::Enum(values)) => values.values.keys().next().expect("a value").to_string(),
            Some(ExtendedType::InputObject(object)) if object.directives.has("oneOf") => {
                let (name, field) = object.fields.iter().next().expect("a field");
                format!("{{{name}: {}}}", self.render_value(&field.ty))
            }
            Some(ExtendedType::InputObject(object)) => {
                let required = object.fields.iter().filter(|(_, field)| field.is_required());
                let fields: Vec<_> =
                    required.map(|(name, field)| format!("{name}: {}", self.render_value(&field.ty))).collect();
                format!("{{{}}}", fields.join(", "))
            }
            _ if name == "Int" => "1".to_owned(),
            _ if name == "Boolean" => "true".to_owned(),
            _ => "\"x\"".to_owned(),
        }
    }

    /// Renders a field with the arguments that it needs, those of the catalog with values that exist.
    fn render_field(&self, type_name: &str, field_name: &str, field: &FieldDefinition) -> String {
        match (type_name, field_name) {
            ("Query", "product") => return format!("product(slug: \"{}\")", self.product_slug),
            ("Query", "category") => return format!("category(slug: \"{}\")", self.category_slug),
            ("Query", "variant") => return format!("variant(by: {{sku: \"{}\"}})", self.sku),
            ("Query", "searchSuggest") => return "searchSuggest(query: \"a\")".to_owned(),
            ("Query", "products") | ("Category", "productConnection") => {
                return format!("{field_name}(first: 3, filter: {{search: \"a\"}})");
            }
            _ => {}
        }
        let required = field.arguments.iter().filter(|argument| argument.is_required());
        let arguments: Vec<_> =
            required.map(|argument| format!("{}: {}", argument.name, self.render_value(&argument.ty))).collect();
        if arguments.is_empty() { field_name.to_owned() } else { format!("{field_name}({})", arguments.join(", ")) }
    }

    /// Returns the shortest way to each type from the query root, over fields that `is_allowed` admits: the text before
    /// a selection and the text after it.
    fn find_paths(&self, is_allowed: impl Fn(&str, &str) -> bool) -> BTreeMap<String, (String, String)> {
        let mut paths = BTreeMap::from([("Query".to_owned(), ("{ ".to_owned(), " }".to_owned()))]);
        let mut pending = VecDeque::from(["Query".to_owned()]);
        while let Some(type_name) = pending.pop_front() {
            let (before, after) = paths[&type_name].clone();
            let mut add = |name: String, before: String| {
                if !paths.contains_key(&name) {
                    paths.insert(name.clone(), (before, format!(" }}{after}")));
                    pending.push_back(name);
                }
            };
            for object in self.objects_of(&type_name) {
                add(object.clone(), format!("{before}... on {object} {{ "));
            }
            for (field_name, field) in self.fields_of(&type_name) {
                let target = field.ty.inner_named_type().as_str();
                let is_composite = !self.fields_of(target).is_empty() || !self.objects_of(target).is_empty();
                if is_composite && is_allowed(&type_name, field_name) {
                    add(target.to_owned(), format!("{before}{} {{ ", self.render_field(&type_name, field_name, field)));
                }
            }
        }
        paths
    }

    /// Renders an operation that selects a field.
    fn render_operation(&self, (before, after): &(String, String), type_name: &str, field_name: &str) -> String {
        let field = self.fields_of(type_name).into_iter().find(|(name, _)| *name == field_name).expect("a field").1;
        let target = field.ty.inner_named_type().as_str();
        let selection = match self.schema.types.get(target) {
            Some(definition) if definition.is_leaf() => String::new(),
            _ => " { __typename }".to_owned(),
        };
        format!("{before}{}{selection}{after}", self.render_field(type_name, field_name, field))
    }

    fn is_cacheable(&self, operation: &str) -> bool {
        let document = ExecutableDocument::parse_and_validate(&self.schema, operation, "operation.graphql");
        let document = document.unwrap_or_else(|failed| panic!("{operation}: {}", failed.errors));
        CachePolicies::of_document(&document).find(None).is_some()
    }
}

async fn every_field_that_is_not_listed_as_public_makes_its_operation_private(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let fields = SchemaFields::load(&app).await;
    let paths = fields.find_paths(|_, _| true);
    let mut private = BTreeSet::new();
    for (type_name, path) in &paths {
        for (field_name, _) in fields.fields_of(type_name) {
            let operation = fields.render_operation(path, type_name, field_name);
            let is_cacheable = fields.is_cacheable(&operation);
            if find_public_field(type_name, field_name).is_none() {
                private.insert((type_name.as_str(), field_name));
                assert!(!is_cacheable, "{operation}");
                // Not even by a request that the server answers.
                let http_response = HttpResponse::send(app.build_get(&operation)).await;
                assert_eq!(http_response.header("cache-control"), Some("no-store"), "{operation}: {http_response:?}");
            }
        }
    }
    assert!(private.len() > 200, "only {} private fields", private.len());
    for type_name in PRIVATE_TYPES {
        let names = fields.fields_of(type_name);
        assert!(!names.is_empty(), "no type {type_name}");
        for (field_name, _) in names {
            assert!(find_public_field(type_name, field_name).is_none(), "{type_name}.{field_name} is public");
        }
    }
    for (type_name, names) in PRIVATE_FIELDS {
        for field_name in names {
            assert!(private.contains(&(type_name, *field_name)), "{type_name}.{field_name} is public or unreachable");
        }
    }
}

async fn public_fields_have_the_same_values_for_all_callers(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let callers = [app.login(Role::Customer).await, app.login(Role::Staff).await, app.login(Role::Admin).await];
    let fields = SchemaFields::load(&app).await;
    let paths = fields.find_paths(|type_name, field_name| find_public_field(type_name, field_name).is_some());
    let mut compared = 0;
    for (type_name, path) in &paths {
        for (field_name, _) in fields.fields_of(type_name) {
            if find_public_field(type_name, field_name).is_none() {
                continue;
            }
            let operation = fields.render_operation(path, type_name, field_name);
            assert!(fields.is_cacheable(&operation), "{operation}");
            let (anonymous, _) = send_to_cache(app.build_get(&operation)).await;
            assert!(anonymous.header("cache-status").is_some(), "{operation}: {anonymous:?}");
            for token in &callers {
                let response = app.query_as(token, &operation, json!({})).await;
                assert_eq!(response.body, anonymous.json(), "{operation}");
            }
            compared += 1;
        }
    }
    assert!(compared > 120, "only {compared} public fields were compared");
}
