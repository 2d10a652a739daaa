//! Worst-case complexity of an operation, without executing it.

use apollo_compiler::schema::ExtendedType;
use async_graphql::{
    Name, Value, Variables,
    parser::types::{BaseType, ExecutableDocument, OperationDefinition, Type},
};
use async_graphql_value::indexmap::IndexMap;

use super::{complexity_probe::measure_complexity, document::schema::validation_schema};
use crate::base::pagination::MAX_PAGE_SIZE;

/// Nesting depth of generated input objects.
const MAX_INPUT_DEPTH: usize = 8;

/// Returns the complexity of the only operation of a valid document, with those values of its variables that make it the
/// largest: pages of the maximum size.
///
/// # Errors
/// Returns a message if the complexity cannot be computed with generated values.
pub async fn measure_worst_case(document: &ExecutableDocument) -> Result<usize, String> {
    let variables = document.operations.iter().next().map(|(_, operation)| worst_case_variables(&operation.node));
    measure_complexity(document.clone(), variables.unwrap_or_default()).await
}

/// Returns values of the variables with which an operation is the most complex. A variable that is omitted has the
/// default of its argument, which is smaller than the largest page.
#[must_use]
pub fn worst_case_variables(operation: &OperationDefinition) -> Variables {
    let mut variables = Variables::default();
    for definition in operation.variable_definitions.iter().map(|definition| &definition.node) {
        let ty = &definition.var_type.node;
        if !ty.nullable || decides_size(ty) {
            variables.insert(definition.name.node.clone(), largest_value(ty, 0));
        }
    }
    variables
}

/// Returns whether values of a type can be the size of a page or a list of ids.
fn decides_size(ty: &Type) -> bool {
    match &ty.base {
        BaseType::Named(name) => ["Int", "Boolean"].contains(&name.as_str()),
        BaseType::List(item) => matches!(&item.base, BaseType::Named(name) if name == "ID"),
    }
}

fn largest_value(ty: &Type, depth: usize) -> Value {
    let name = match &ty.base {
        BaseType::List(item) => return Value::List(vec![largest_value(item, depth); MAX_PAGE_SIZE]),
        BaseType::Named(name) => name.as_str(),
    };
    match validation_schema().types.get(name) {
        Some(ExtendedType::Enum(definition)) => {
            definition.values.keys().next().map_or(Value::Null, |value| Value::Enum(Name::new(value)))
        }
        Some(ExtendedType::InputObject(definition)) if depth < MAX_INPUT_DEPTH => {
            let required = definition.fields.iter().filter(|(_, field)| field.is_required());
            let to_value = |ty: String| Type::new(&ty).map_or(Value::Null, |ty| largest_value(&ty, depth + 1));
            let fields: IndexMap<Name, Value> =
                required.map(|(name, field)| (Name::new(name), to_value(field.ty.to_string()))).collect();
            Value::Object(fields)
        }
        _ => match name {
            "Int" => Value::from(MAX_PAGE_SIZE),
            "Float" => Value::from(1.0),
            "Boolean" => Value::Boolean(true),
            _ => Value::String("1".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    async fn complexity(text: &str) -> Result<usize, String> {
        let document = parse_query(text).expect("a document");
        measure_worst_case(&document).await
    }

    #[tokio::test]
    async fn variable_page_size_costs_as_much_as_the_largest_page() {
        let largest = complexity("{ products(first: 100) { nodes { id name } } }").await.expect("a cost");
        for text in [
            "query ($n: Int) { products(first: $n) { nodes { id name } } }",
            "query ($n: Int! = 3) { products(first: $n) { nodes { id name } } }",
            "query ($n: Int, $after: String, $filter: ProductFilter) {
                products(last: $n, before: $after, filter: $filter) { nodes { id name } } }",
        ] {
            assert_eq!(complexity(text).await, Ok(largest), "{text}");
        }
        assert!(complexity("{ products(first: 3) { nodes { id name } } }").await.expect("a cost") < largest);
    }

    #[tokio::test]
    async fn lists_of_ids_and_required_inputs_are_generated() {
        let nodes = complexity("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }").await.expect("a cost");
        assert_eq!(nodes, 100);
        let mutation = "mutation ($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } } }";
        assert!(complexity(mutation).await.expect("a cost") > 0);
    }
}
