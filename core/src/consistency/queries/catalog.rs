//! Checks of the catalog.

use crate::consistency::{CheckArea::Catalog, CheckSeverity::Violation, ConsistencyCheck};

/// The checks of the catalog.
pub(super) const CATALOG_CHECKS: [ConsistencyCheck; 6] = [
    ConsistencyCheck {
        name: "product_counts",
        description: "categories whose product count differs from their active products",
        area: Catalog,
        severity: Violation,
        entity: "category",
        example: "CAST(c.id AS TEXT)",
        violations: "category AS c LEFT JOIN category_product_count AS t ON t.category_id = c.id \
             LEFT JOIN (SELECT category_id, count(*) AS active FROM product WHERE status = 'active' AND deleted_at IS NULL \
             GROUP BY category_id) AS p ON p.category_id = c.id \
             WHERE COALESCE(t.product_count, 0) <> COALESCE(p.active, 0)",
    },
    ConsistencyCheck {
        name: "in_stock",
        description: "products whose `in_stock` differs from the stock of their variants",
        area: Catalog,
        severity: Violation,
        entity: "product",
        example: "CAST(p.id AS TEXT)",
        violations: "product AS p WHERE p.in_stock <> EXISTS (SELECT 1 FROM variant AS v \
             LEFT JOIN inventory_level AS i ON i.variant_id = v.id WHERE v.product_id = p.id AND v.deleted_at IS NULL \
             AND (NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved))",
    },
    ConsistencyCheck {
        name: "current_prices",
        description: "products whose current prices differ from those of their variants",
        area: Catalog,
        severity: Violation,
        entity: "product",
        example: "CAST(p.id AS TEXT)",
        violations: "product AS p JOIN (SELECT v.product_id, MIN(v.current_price) AS lowest, MAX(v.current_price) AS highest FROM \
             (SELECT product_id, CASE WHEN sale_price IS NOT NULL AND (sale_starts_at IS NULL OR sale_starts_at <= :now) \
             AND (sale_ends_at IS NULL OR sale_ends_at > :now) THEN sale_price ELSE price END AS current_price \
             FROM variant WHERE deleted_at IS NULL) AS v GROUP BY v.product_id) AS d ON d.product_id = p.id \
             WHERE p.deleted_at IS NULL AND (p.next_price_change_at IS NULL OR p.next_price_change_at > :now) \
             AND (p.current_price <> d.lowest OR p.max_current_price <> d.highest)",
    },
    ConsistencyCheck {
        name: "products_without_variant",
        description: "products without a variant",
        area: Catalog,
        severity: Violation,
        entity: "product",
        example: "CAST(p.id AS TEXT)",
        violations: "product AS p WHERE NOT EXISTS (SELECT 1 FROM variant AS v WHERE v.product_id = p.id)",
    },
    ConsistencyCheck {
        name: "ranked_at",
        description: "products that searches do not sort by the current ranking",
        area: Catalog,
        severity: Violation,
        entity: "product",
        example: "CAST(p.id AS TEXT)",
        // After a change of the ranking, a job updates the products.
        violations: "product AS p JOIN product_ranking AS r ON r.id = p.id WHERE p.ranked_at <> r.ranked_at \
             AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.kind = 'search.rank' AND j.status IN ('pending', 'running'))",
    },
    ConsistencyCheck {
        name: "search_index",
        description: "products whose row in the search index is missing or differs from them",
        area: Catalog,
        severity: Violation,
        entity: "product",
        example: "CAST(d.id AS TEXT)",
        violations: "product_search_difference AS d",
    },
];
