package main

import (
	"errors"

	"howdah/provision/odoo"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// checkCatalog looks at where the catalog is.
func (r *configReader) checkCatalog() {
	c := &r.config.Catalog
	if c.URL != "" && !isConnString(c.URL) {
		r.wrong([]string{string(sectionCatalog), "url"}, `write "postgres://user:password@host:port/database"`, "url is no connection string")
	}
	r.readMasterKey()
	for _, folder := range c.OdooAddonsPath {
		if err := odoo.CheckAddons(folder); err != nil {
			r.wrong([]string{string(sectionCatalog), "odoo_addons_path"}, `write "/opt/odoo/addons" or "17.0=/opt/odoo17/addons"`, "odoo_addons_path: %v", err)
		}
	}
	if c.Cache == "" {
		return
	}
	if c.URL == "" {
		r.wrong([]string{string(sectionCatalog), "cache"}, "give the catalog's url too", "cache is of no use without a catalog")
	}
	c.Cache = r.absolute(c.Cache)
}

// readMasterKey reads what opens and seals the secrets of managed users.
func (r *configReader) readMasterKey() {
	c := &r.config.Catalog
	at := []string{string(sectionCatalog), "master_key_file"}
	if c.MasterKeyFile == "" || r.isWrong(at) {
		return
	}
	if c.URL == "" {
		r.wrong(at, "give the catalog's url too", "master_key_file is of no use without a catalog")
		return
	}
	key, err := catalog.ReadMasterKey(c.MasterKeyFile)
	switch {
	case errors.Is(err, catalog.ErrReadable):
		r.wrong(at, "chmod 600 it", "others than its owner may use master_key_file %q", c.MasterKeyFile)
	case err != nil:
		r.wrong(at, "have age-keygen make one, or copy another node's", "master_key_file %q: %v", c.MasterKeyFile, err)
	}
	r.config.MasterKey = key
}

// checkOldVerifiers looks at the verifiers that go on beside a user's own.
func (r *configReader) checkOldVerifiers(u *tenants.User, b block) {
	for _, old := range u.OldVerifiers {
		if err := tenants.CheckOldVerifier(old, u.Verifier); err != nil {
			r.wrong(b.key("old_verifiers"), `write a time such as 2026-01-31T12:00:00Z, a space and a verifier of the same salt and iterations`,
				"an old verifier of user %q is none: %v", u.Name, err)
		}
	}
}
