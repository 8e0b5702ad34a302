package classify

import "sync/atomic"

// Kind says what a name is the name of. Its values are those of CatalogQuery.
type Kind byte

// The kinds of names that a verdict depends on.
const (
	Function  Kind = 'f'
	Operator  Kind = 'o'
	Relation  Kind = 'r'
	Type      Kind = 't'
	Attribute Kind = 'a' // a function of rows, which can be called as if it were a column
	Field     Kind = 'v' // a function of other values, which can be called as if these were rows
	Database  Kind = 'd' // whatever a statement names: what is called without being named
)

// Name is a name without its schema, in the form that the catalog has it.
type Name struct {
	Kind Kind
	Text string
}

// Catalog knows which names of a database are safe: those of functions that are not
// volatile, of relations and types that call no others. Where several objects of one
// name differ, it is not safe, so the schemas and argument types of a statement's names
// do not matter.
//
// It is filled with Add by one goroutine, and then only read. After the definition of
// anything has changed another one must take its place.
type Catalog struct {
	// static after the last Add
	builtin    *Catalog
	names      map[Name]bool
	attributes bool // there are some that are not safe, or types that can be such calls
	doubtful   bool // nothing is safe

	safeLately [256]atomic.Pointer[judgement] // what was found to be safe here
}

// NewCatalog makes a catalog for the database's own names, beside those that come with
// PostgreSQL. The latter, which the databases of a cluster have in common, are a
// catalog too, for which builtin is nil.
func NewCatalog(builtin *Catalog) *Catalog {
	c := &Catalog{builtin: builtin, names: make(map[Name]bool)}
	if builtin != nil {
		c.attributes, c.doubtful = builtin.attributes, builtin.doubtful
	}
	return c
}

// Add takes a row of CatalogQuery.
func (c *Catalog) Add(kind Kind, name string, safe bool) {
	switch kind {
	case Database:
		c.doubtful = c.doubtful || !safe
		return
	case Attribute, Field, Type:
		c.attributes = c.attributes || !safe
	}
	n := Name{kind, name}
	if known, ok := c.names[n]; ok {
		safe = safe && known
	}
	c.names[n] = safe
}

// Len is the number of names that the catalog itself has.
func (c *Catalog) Len() int { return len(c.names) }

// safe reports whether a name is known and whatever has it is safe. What looks like
// the call of a function may be a cast to a type of that name.
func (c *Catalog) safe(n Name) bool {
	known := false
	for ; c != nil; c = c.builtin {
		switch safe, ok := c.names[n]; {
		case ok && !safe, n.Kind == Function && c.unsafeType(n.Text):
			return false
		case ok:
			known = true
		}
	}
	return known
}

// calls reports whether what looks like a column, of a row or of any value, may be a
// call of a function, or a cast to a type, that is not safe.
func (c *Catalog) calls(column string, ofRow bool) bool {
	for ; c != nil; c = c.builtin {
		_, called := c.names[Name{Attribute, column}]
		if !called && !ofRow {
			_, called = c.names[Name{Field, column}]
		}
		if called || c.unsafeType(column) {
			return true
		}
	}
	return false
}

func (c *Catalog) unsafeType(name string) bool {
	safe, ok := c.names[Name{Type, name}]
	return ok && !safe
}
