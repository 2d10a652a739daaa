//! Apollo Federation v2: the schema as a subgraph, with `graphql.federation`.

use std::sync::LazyLock;

use async_graphql::{
    Context, ID, InputValueError, InputValueResult, Object, SDLExportOptions, Scalar, ScalarType, SimpleObject, Union,
    Value,
};

use super::{
    catalog::{category::Category, product::Product, variant::Variant},
    node::{self, Node},
    order::Order,
    schema::create_federated_schema_builder,
};
use crate::base::{Error, GlobalId, Result, global_id::NodeType};

/// Maximum number of representations per request.
const MAX_REPRESENTATIONS: usize = 1000;
/// The entities, each with the key `id`.
const ENTITY_TYPES: [&str; 4] = ["Product", "ProductVariant", "Category", "Order"];
/// Types that subgraphs define alike.
const SHARED_TYPES: [&str; 1] = ["PageInfo"];
/// Imports the directives that the subgraph uses.
const FEDERATION_LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.5\", \
    import: [\"@key\", \"@shareable\"])\n";

static SUBGRAPH_SDL: LazyLock<String> = LazyLock::new(render_subgraph_sdl);

/// Representation of an entity in another subgraph: `{ "__typename": "Product", "id": "…" }`.
#[derive(Debug, Clone)]
pub struct Representation {
    type_name: String,
    id: ID,
}

#[Scalar(name = "_Any")]
impl ScalarType for Representation {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::Object(fields) = &value else { return Err(InputValueError::expected_type(value)) };
        match (fields.get("__typename"), fields.get("id")) {
            (Some(Value::String(type_name)), Some(Value::String(id))) => {
                Ok(Self { type_name: type_name.clone(), id: ID(id.clone()) })
            }
            _ => Err(InputValueError::custom("a representation has the strings `__typename` and `id`")),
        }
    }

    fn to_value(&self) -> Value {
        async_graphql::value!({ "__typename": self.type_name.clone(), "id": self.id.0.clone() })
    }
}

/// Entity that other subgraphs extend.
#[derive(Debug, Union)]
#[graphql(name = "_Entity")]
pub enum FederatedEntity {
    /// Product.
    Product(Product),
    /// Product variant.
    Variant(Variant),
    /// Product category.
    Category(Category),
    /// Order; visible to its buyer and to staff.
    Order(Order),
}

/// Description of the subgraph.
#[derive(Debug, SimpleObject)]
#[graphql(name = "_Service")]
pub struct SubgraphService {
    /// Schema with the directives of Apollo Federation.
    sdl: String,
}

/// Queries of a federation gateway.
#[derive(Debug, Default)]
pub struct FederationQuery;

#[Object]
impl FederationQuery {
    /// Schema of the subgraph.
    #[graphql(name = "_service")]
    async fn service(&self) -> SubgraphService {
        SubgraphService { sdl: SUBGRAPH_SDL.clone() }
    }

    /// Entities by representation, in the given order; null for each that does not exist or that the caller may not see.
    #[graphql(name = "_entities", complexity = "representations.len() * child_complexity")]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Representations, at most 1000.")] representations: Vec<Representation>,
    ) -> Result<Vec<Option<FederatedEntity>>> {
        if representations.len() > MAX_REPRESENTATIONS {
            let message = format!("at most {MAX_REPRESENTATIONS} representations; there are {}", representations.len());
            return Err(Error::bad_input("representations", message));
        }
        let loads = representations.iter().enumerate().map(|(index, representation)| {
            let field = format!("representations.{index}");
            async move { find_entity(ctx, representation, &field).await }
        });
        futures_util::future::try_join_all(loads).await
    }
}

/// Returns the entity of a representation. Entities of one type are loaded together.
async fn find_entity(
    ctx: &Context<'_>,
    representation: &Representation,
    field: &str,
) -> Result<Option<FederatedEntity>> {
    let node_type = match representation.type_name.as_str() {
        "Product" => NodeType::Product,
        "ProductVariant" => NodeType::Variant,
        "Category" => NodeType::Category,
        "Order" => NodeType::Order,
        _ => return Err(Error::bad_input(field, format!("the entities are {}", ENTITY_TYPES.join(", ")))),
    };
    let key = GlobalId::decode_as(&representation.id, node_type, &format!("{field}.id"))?;
    Ok(match node::find_node(ctx, GlobalId::new(node_type, key)).await? {
        Some(Node::Product(product)) => Some(FederatedEntity::Product(product)),
        Some(Node::Variant(variant)) => Some(FederatedEntity::Variant(variant)),
        Some(Node::Category(category)) => Some(FederatedEntity::Category(category)),
        Some(Node::Order(order)) => Some(FederatedEntity::Order(order)),
        _ => None,
    })
}

/// Renders the schema of the subgraph: with keys, and without the fields that a gateway adds.
fn render_subgraph_sdl() -> String {
    let options = SDLExportOptions::new().federation();
    let sdl = create_federated_schema_builder().finish().sdl_with_options(options);
    // The export ends with a link to more directives than those used here.
    let types = sdl.split_once("extend schema @link(").map_or(sdl.as_str(), |(types, _)| types);
    let mut rendered = FEDERATION_LINK.to_owned();
    for line in types.lines() {
        let type_name = line.strip_prefix("type ").and_then(|rest| rest.split(' ').next());
        let directive = match type_name {
            Some(name) if ENTITY_TYPES.contains(&name) => " @key(fields: \"id\") {",
            Some(name) if SHARED_TYPES.contains(&name) => " @shareable {",
            _ => "",
        };
        match line.strip_suffix(" {").filter(|_| !directive.is_empty()) {
            Some(declaration) => rendered.extend([declaration, directive]),
            None => rendered.push_str(line),
        }
        rendered.push('\n');
    }
    rendered
}
