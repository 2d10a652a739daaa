//! Number of database statements of an operation, by executing it.
//!
//! The number does not depend on how much an operation returns. It does depend on which of the selected objects exist:
//! an object that is null has no fields to load. A query is executed as an anonymous caller, with variables that name a
//! product and a category of the shop; if it reached every selected object, its number of statements is exact, else it is
//! a lower bound. Mutations, and queries with variables of unknown meaning, are not executed.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Name, Request, Response, Value, Variables,
    parser::types::{BaseType, Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value as Literal;

use crate::{
    graphql::{
        AppSchema,
        context::{AppState, RequestContext, RequestInfo},
        execution::{document_rewrite, operation_check::ParsedOperation, variables},
        load_batching::run_with_batching,
    },
    infra::QueryStats,
    operations::{
        CheckedOperation,
        entity::{OperationKind, StatementFigure},
    },
};

/// Query for values of variables.
const SAMPLE_QUERY: &str = "{ products(first: 1) { nodes { id slug sku name
    variants(first: 1) { id } category { id slug } } } }";

/// Executes operations to count their statements.
pub struct StatementCounter {
    app_state: Arc<AppState>,
    schema: AppSchema,
    samples: HashMap<(&'static str, &'static str), Value>,
}

/// Use of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
enum VariableUse {
    /// Argument of a field.
    Argument { field: String, argument: String },
    /// `@skip`
    Skip,
}

impl StatementCounter {
    /// Reads a product and its category, whose ids and names are values of variables.
    pub async fn load(app_state: &Arc<AppState>) -> Self {
        let schema = AppSchema::new(&app_state.config);
        let mut counter = Self { app_state: Arc::clone(app_state), schema, samples: HashMap::new() };
        let (response, _) = counter.execute(Request::new(SAMPLE_QUERY)).await;
        let data = response.data.into_json().unwrap_or_default();
        let arguments = [
            ("/id", &[("product", "id"), ("node", "id")][..]),
            ("/slug", &[("product", "slug")]),
            ("/sku", &[("product", "sku")]),
            ("/name", &[("products", "search"), ("searchSuggest", "query")]),
            ("/category/id", &[("category", "id")]),
            ("/category/slug", &[("category", "slug")]),
        ];
        for (path, uses) in arguments {
            let value = data.pointer(&format!("/products/nodes/0{path}")).and_then(serde_json::Value::as_str);
            if let Some(value) = value {
                counter.samples.extend(uses.iter().map(|place| (*place, Value::String(value.to_owned()))));
            }
        }
        counter
    }

    /// Returns the operation with its number of statements; unchanged if it cannot be executed.
    pub async fn count_statements(&self, parsed: ParsedOperation) -> CheckedOperation {
        let ParsedOperation { mut operation, document } = parsed;
        let document = &document.executable;
        let Some((_, definition)) = document.operations.iter().next() else { return operation };
        if operation.kind != OperationKind::Query {
            return operation;
        }
        let Some(variables) = self.sample_variables(document, &definition.node) else { return operation };
        let mut executed_document = document_rewrite::select_operation(document, None);
        variables::omit_absent(&mut executed_document, &definition.node, &variables);
        let mut request = Request::new(String::new()).variables(variables);
        request.set_parsed_query(executed_document);
        let (response, query_stats) = self.execute(request).await;
        if response.errors.iter().any(|error| error.path.is_empty()) {
            return operation;
        }
        let selection_set = &definition.node.selection_set.node;
        let is_complete = response.errors.is_empty() && reaches_all(document, selection_set, &[&response.data]);
        operation.statement_figure = if is_complete { StatementFigure::Measured } else { StatementFigure::AtLeast };
        operation.statements = i32::try_from(query_stats.statement_count()).unwrap_or(i32::MAX);
        operation
    }

    async fn execute(&self, request: Request) -> (Response, Arc<QueryStats>) {
        let (context, query_stats, pending_loads) =
            RequestContext::for_request(&self.app_state, RequestInfo::default());
        let execution = self.schema.execute(request.data(context));
        (run_with_batching(execution, pending_loads).await, query_stats)
    }

    /// Returns values of all variables; `None` if a required one has an unknown meaning.
    fn sample_variables(&self, document: &ExecutableDocument, operation: &OperationDefinition) -> Option<Variables> {
        let mut uses = HashMap::new();
        let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
        for selection_set in fragments.chain([&operation.selection_set.node]) {
            collect_uses(selection_set, &mut uses);
        }
        let mut variables = Variables::default();
        for definition in operation.variable_definitions.iter().map(|definition| &definition.node) {
            let ty = &definition.var_type.node;
            let variable_use = uses.get(&definition.name.node);
            let sample = match (variable_use, &ty.base) {
                (Some(VariableUse::Argument { field, argument }), _) => {
                    let is_place = |(name, _): &(&(&str, &str), &Value)| *name == &(field.as_str(), argument.as_str());
                    self.samples.iter().find(is_place).map(|(_, value)| value.clone())
                }
                _ => None,
            };
            let value = sample.or_else(|| match (&ty.base, variable_use) {
                (BaseType::Named(name), _) if name == "Boolean" => {
                    Some(Value::Boolean(variable_use != Some(&VariableUse::Skip)))
                }
                _ if definition.default_value.is_some() => {
                    definition.default_value.as_ref().map(|default| default.node.clone())
                }
                (BaseType::Named(name), _) if name == "Int" && !ty.nullable => Some(Value::from(10)),
                _ => None,
            });
            match value {
                Some(value) => _ = variables.insert(definition.name.node.clone(), value),
                None if ty.nullable => {}
                None => return None,
            }
        }
        Some(variables)
    }
}

/// Collects where variables are used: the first place of each.
fn collect_uses(selection_set: &SelectionSet, uses: &mut HashMap<Name, VariableUse>) {
    for selection in &selection_set.items {
        for Directive { name, arguments } in selection.node.directives().iter().map(|directive| &directive.node) {
            for (_, value) in arguments {
                if let Literal::Variable(variable) = &value.node
                    && name.node == "skip"
                {
                    uses.insert(variable.clone(), VariableUse::Skip);
                }
            }
        }
        match &selection.node {
            Selection::Field(field) => {
                let Field { name, arguments, selection_set, .. } = &field.node;
                for (argument, value) in arguments {
                    if let Literal::Variable(variable) = &value.node {
                        let variable_use =
                            VariableUse::Argument { field: name.node.to_string(), argument: argument.node.to_string() };
                        uses.entry(variable.clone()).or_insert(variable_use);
                    }
                }
                collect_uses(&selection_set.node, uses);
            }
            Selection::InlineFragment(fragment) => collect_uses(&fragment.node.selection_set.node, uses),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Returns whether every selected field has a value in one of the objects, and every selected object exists in one of
/// them.
fn reaches_all(document: &ExecutableDocument, selection_set: &SelectionSet, objects: &[&Value]) -> bool {
    selection_set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            let response_key = &field.node.response_key().node;
            let mut values = Vec::new();
            for object in objects {
                if let Value::Object(fields) = object
                    && let Some(value) = fields.get(response_key)
                {
                    values.push(value);
                }
            }
            let child_set = &field.node.selection_set.node;
            if child_set.items.is_empty() {
                return !values.is_empty();
            }
            let children = flatten_objects(values);
            !children.is_empty() && reaches_all(document, child_set, &children)
        }
        Selection::InlineFragment(fragment) => reaches_all(document, &fragment.node.selection_set.node, objects),
        Selection::FragmentSpread(spread) => {
            let fragment = document.fragments.get(&spread.node.fragment_name.node);
            fragment.is_some_and(|fragment| reaches_all(document, &fragment.node.selection_set.node, objects))
        }
    })
}

/// Returns the objects of values and of the lists among them.
fn flatten_objects(values: Vec<&Value>) -> Vec<&Value> {
    let mut objects = Vec::new();
    let mut pending = values;
    while let Some(value) = pending.pop() {
        match value {
            Value::List(items) => pending.extend(items),
            Value::Object(_) => objects.push(value),
            _ => {}
        }
    }
    objects
}
