package main

func catalogSettings() []setting {
	const in = sectionCatalog
	return []setting{
		{
			section: in, name: "url", shown: "catalog_url", initial: "", secret: true,
			doc: "Where the catalog is: a connection string of a database that Howdah makes its tables in, in schema howdah, as the role that owns the database. \"\" is no catalog.",
			at:  func(p *place) any { return &p.catalog.URL },
		},
		{
			section: in, name: "cache", shown: "catalog_cache", initial: "",
			doc: "A file in which the catalog's contents are kept, so that Howdah can start while the catalog is away. It holds verifiers of passwords; its folder must be writable for Howdah. \"\" is none.",
			at:  func(p *place) any { return &p.catalog.Cache },
		},
	}
}
