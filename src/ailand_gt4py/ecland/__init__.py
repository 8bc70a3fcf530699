"""ecLand's parameters and formulas: tables of soil and vegetation, snow, the heat of freezing soil. Knows no model."""
