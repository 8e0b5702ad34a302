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
		{
			section: in, name: "master_key_file", initial: "", reload: true,
			doc: "An identity file of age (age-keygen makes one; X25519), the same on every node; nobody but its owner may read it. With it tenants that are made in the catalog are managed: Howdah logs them in to their servers with a secret of its own, which the catalog keeps sealed with this key, and their passwords can be rotated with an overlap. Of several identities the first seals and all open: to change the key, put a new one in front, reload every node, give `howdah tenant reseal`, and take the old one out. \"\" is none.",
			at:  func(p *place) any { return &p.catalog.MasterKeyFile },
		},
		{
			section: in, name: "odoo_addons_path", initial: []any{}, reload: true,
			doc: "Folders of Odoo's modules on this machine, absolute: a tenant's clone is neutralised by the data/neutralize.sql that installed modules have there (Odoo 16 and later), of the first folder that has the module. A folder that is of one version has that in front, as in \"17.0=/opt/odoo17/addons\": it is for databases of that version. For modules that are in none of them, and with none, there is a built-in list.",
			at:  func(p *place) any { return &p.catalog.OdooAddonsPath },
		},
	}
}
