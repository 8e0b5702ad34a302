package main

// checkCatalog looks at where the catalog is.
func (r *configReader) checkCatalog() {
	c := &r.config.Catalog
	if c.URL != "" && !isConnString(c.URL) {
		r.wrong([]string{string(sectionCatalog), "url"}, `write "postgres://user:password@host:port/database"`, "url is no connection string")
	}
	if c.Cache == "" {
		return
	}
	if c.URL == "" {
		r.wrong([]string{string(sectionCatalog), "cache"}, "give the catalog's url too", "cache is of no use without a catalog")
	}
	c.Cache = r.absolute(c.Cache)
}
