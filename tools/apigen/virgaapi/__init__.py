"""Makes what follows from api/*.yaml: openapi.json, the C tables of src/api/gen/, docs/api.md. See docs/arch/15-api.md."""
