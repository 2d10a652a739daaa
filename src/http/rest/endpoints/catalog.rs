//! `/products` and `/categories`.

use axum::http::StatusCode;

use super::{AFTER, BEFORE, FIRST, ID, LAST, LIMIT, TOTAL, USER_ERROR};
use crate::http::rest::endpoint::{
    InputBody, Replacement, ReplacementGroup, RequestBody, RestEndpoint, RestMethod, RestParameter, ResultShape,
};

const PRODUCT: &str = include_str!("../operations/fragments/product.graphql");
const CATEGORY: &str = include_str!("../operations/fragments/category.graphql");

const PRODUCT_REPLACEMENT: Replacement = Replacement {
    required: &["name", "slug", "categoryId", "status"],
    cleared: &["description", "seo", "vendor", "tags", "images"],
    disabled: &["featured"],
    // The fields of the only variant: those of a product with several variants are not part of the product.
    group: Some(ReplacementGroup {
        required: &["sku", "price"],
        cleared: &["salePrice", "saleStartsAt", "saleEndsAt", "stockQuantity", "weightGrams", "content", "barcode"],
    }),
};

const CATEGORY_REPLACEMENT: Replacement =
    Replacement { required: &["name", "slug"], cleared: &["description", "seo", "image"], disabled: &[], group: None };

/// Endpoints of products.
pub(super) static PRODUCTS: [RestEndpoint; 6] = [
    RestEndpoint {
        parameters: &[
            FIRST,
            LIMIT,
            AFTER,
            LAST,
            BEFORE,
            TOTAL,
            RestParameter::query("search", "filter.search"),
            RestParameter::query("category", "filter.category.id"),
            RestParameter::query("categorySlug", "filter.category.slug"),
            RestParameter::query("minPrice", "filter.price.min"),
            RestParameter::query("maxPrice", "filter.price.max"),
            RestParameter::query("inStock", "filter.inStock"),
            RestParameter::query("onSale", "filter.onSale"),
            RestParameter::query("featured", "filter.featured"),
            RestParameter::query("vendor", "filter.vendors"),
            RestParameter::query("tag", "filter.tags.all"),
            RestParameter::query("slug", "filter.slugs"),
            RestParameter::query("sku", "filter.skus"),
            RestParameter::query("status", "filter.status"),
            RestParameter::query("updatedFrom", "filter.updatedAt.from"),
            RestParameter::query("updatedTo", "filter.updatedAt.to"),
            RestParameter::query("sort", "sort.field"),
            RestParameter::query("reverse", "sort.reverse"),
        ],
        result: ResultShape::Connection,
        ..RestEndpoint::read(
            "/products",
            "Lists products that match all given filters, in pages.",
            &[
                include_str!("../operations/product_list.graphql"),
                include_str!("../operations/fragments/product_list_item.graphql"),
            ],
        )
    },
    RestEndpoint {
        body: RequestBody::Input(InputBody::COMPLETE),
        needs_token: true,
        ..RestEndpoint::create(
            "/products",
            "/products",
            "Creates a product. For staff.",
            &[include_str!("../operations/product_create.graphql"), PRODUCT, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        ..RestEndpoint::read(
            "/products/{id}",
            "Returns a product with its variants.",
            &[include_str!("../operations/product_get.graphql"), PRODUCT],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody { replacement: Some(&PRODUCT_REPLACEMENT), ..InputBody::COMPLETE }),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Put,
            "/products/{id}",
            "Replaces a product: absent optional fields are cleared. The fields of the only variant are replaced together, \
             if one of them is present. For staff.",
            &[include_str!("../operations/product_update.graphql"), PRODUCT, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody::COMPLETE),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Patch,
            "/products/{id}",
            "Changes the given fields of a product: absent fields are unchanged, null clears a field. For staff.",
            &[include_str!("../operations/product_update.graphql"), PRODUCT, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        result: ResultShape::Deletion,
        status: StatusCode::NO_CONTENT,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Delete,
            "/products/{id}",
            "Deletes a product. For staff.",
            &[include_str!("../operations/product_delete.graphql"), USER_ERROR],
        )
    },
];

/// Endpoints of categories.
pub(super) static CATEGORIES: [RestEndpoint; 7] = [
    RestEndpoint {
        result: ResultShape::List,
        ..RestEndpoint::read(
            "/categories",
            "Lists the root categories with their children, in order.",
            &[include_str!("../operations/category_list.graphql"), CATEGORY],
        )
    },
    RestEndpoint {
        body: RequestBody::Input(InputBody::COMPLETE),
        needs_token: true,
        ..RestEndpoint::create(
            "/categories",
            "/categories",
            "Creates a category. For staff.",
            &[include_str!("../operations/category_create.graphql"), CATEGORY, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        ..RestEndpoint::read(
            "/categories/{id}",
            "Returns a category with its parent and its children.",
            &[include_str!("../operations/category_get.graphql"), CATEGORY],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody { replacement: Some(&CATEGORY_REPLACEMENT), ..InputBody::COMPLETE }),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Put,
            "/categories/{id}",
            "Replaces a category: absent optional fields are cleared. It stays where it is in the tree. For staff.",
            &[include_str!("../operations/category_update.graphql"), CATEGORY, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody::COMPLETE),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Patch,
            "/categories/{id}",
            "Changes the given fields of a category: absent fields are unchanged, null clears a field. For staff.",
            &[include_str!("../operations/category_update.graphql"), CATEGORY, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID, RestParameter::query("moveProductsTo", "moveProductsTo")],
        result: ResultShape::Deletion,
        status: StatusCode::NO_CONTENT,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Delete,
            "/categories/{id}",
            "Deletes a category without children; its products are moved to another category. For staff.",
            &[include_str!("../operations/category_delete.graphql"), USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Variables(&["parentId", "position"]),
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Post,
            "/categories/{id}/move",
            "Moves a category with its subtree. For staff.",
            &[include_str!("../operations/category_move.graphql"), CATEGORY, USER_ERROR],
        )
    },
];
