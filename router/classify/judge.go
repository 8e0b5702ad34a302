//go:build cgo

package classify

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Parses says whether there is a parser. Without one everything is Unsafe.
const Parses = true

// judge parses a shape, which may be several statements. With cursors, DECLARE of a
// cursor WITHOUT HOLD is not unsafe.
func judge(shape string, cursors bool) *judgement {
	if strings.IndexByte(shape, 0) >= 0 { // the parser would stop there
		return &judgement{unsafe: true}
	}
	tree, err := pgquery.Parse(shape)
	if err != nil || len(tree.Stmts) == 0 {
		return &judgement{unsafe: true}
	}
	w := walk{names: make(map[Name]bool), columns: make(map[string]bool), emptyLiteral: strings.Contains(shape, "''")}
	for _, s := range tree.Stmts {
		w.statement(s.Stmt, cursors)
	}
	if w.unsafe {
		return &judgement{unsafe: true}
	}
	return &judgement{
		names: slices.SortedFunc(maps.Keys(w.names), func(a, b Name) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Text, b.Text))
		}),
		columns: slices.Sorted(maps.Keys(w.columns)),
		values:  w.values,
	}
}

// walk collects the names of a parse tree until it meets something unsafe.
type walk struct {
	emptyLiteral bool // there may be one: as COPY's file the parser does not tell it from STDOUT

	unsafe  bool
	names   map[Name]bool
	columns map[string]bool
	values  bool     // what has these columns may be no row: it is an expression, or a function in FROM
	queries []string // WITH queries that can be named here
}

// statement walks a whole statement.
func (w *walk) statement(n *pgquery.Node, cursors bool) {
	query := n
	switch s := n.GetNode().(type) {
	case *pgquery.Node_ExplainStmt:
		query = s.ExplainStmt.Query
	case *pgquery.Node_CopyStmt:
		c := s.CopyStmt
		if c.IsFrom || c.IsProgram || c.Filename != "" || w.emptyLiteral {
			w.unsafe = true
		}
		query = s.CopyStmt.Query
	case *pgquery.Node_DeclareCursorStmt:
		if !cursors || s.DeclareCursorStmt.Options&cursorHold != 0 {
			w.unsafe = true
		}
		query = s.DeclareCursorStmt.Query
	}
	if query.GetSelectStmt() == nil {
		w.unsafe = true
		return
	}
	w.message(query.ProtoReflect())
}

// cursorHold is CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
const cursorHold = 0x20

// plain are the kinds of nodes that do nothing but what the nodes and names in them
// do. What is not here is unsafe: INTO, FOR UPDATE, commands in WITH, and whatever
// later parsers know.
var plain = func() map[protoreflect.Name]bool {
	all := make(map[protoreflect.Name]bool)
	for _, name := range strings.Fields(`
		Node List String Integer Float Boolean BitString
		SelectStmt WithClause CommonTableExpr CTESearchClause CTECycleClause
		ResTarget RangeVar RangeSubselect RangeFunction RangeTableFunc RangeTableFuncCol JoinExpr Alias ColumnDef
		SortBy WindowDef GroupingSet GroupingFunc CollateClause
		A_Const A_Expr A_Star A_Indirection A_Indices A_ArrayExpr ColumnRef ParamRef
		FuncCall NamedArgExpr SQLValueFunction TypeCast TypeName
		BoolExpr NullTest BooleanTest CaseExpr CaseWhen CoalesceExpr MinMaxExpr RowExpr SubLink
		XmlExpr XmlSerialize`) {
		all[protoreflect.Name(name)] = true
	}
	return all
}()

// message walks a node and those below it.
func (w *walk) message(m protoreflect.Message) {
	if w.unsafe = w.unsafe || !plain[m.Descriptor().Name()]; w.unsafe {
		return
	}
	outside := len(w.queries)
	switch n := m.Interface().(type) {
	case *pgquery.SelectStmt:
		w.with(n.WithClause)
	case *pgquery.WithClause:
		return // walked with its SELECT
	case *pgquery.RangeVar:
		w.relation(n)
	case *pgquery.FuncCall:
		w.name(Function, n.Funcname)
	case *pgquery.TypeName:
		w.name(Type, n.Names)
		w.unsafe = w.unsafe || n.PctType
	case *pgquery.A_Expr:
		w.operator(n)
	case *pgquery.SubLink:
		w.subLink(n)
	case *pgquery.SortBy:
		if len(n.UseOp) > 0 {
			w.name(Operator, n.UseOp)
		}
	case *pgquery.JoinExpr:
		w.implied(n.IsNatural || len(n.UsingClause) > 0, "=")
	case *pgquery.CaseExpr:
		w.implied(n.Arg != nil, "=")
	case *pgquery.CTECycleClause:
		w.implied(true, "=", "<>")
	case *pgquery.ColumnRef:
		w.column(n.Fields)
	case *pgquery.A_Indirection:
		w.values = true
		w.fields(n.Indirection)
	case *pgquery.RangeFunction:
		w.values = true
	}
	w.below(m)
	w.queries = w.queries[:outside]
}

func (w *walk) below(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				w.message(v.List().Get(i).Message())
			}
		default:
			w.message(v.Message())
		}
		return !w.unsafe
	})
}

// with walks the queries of a WITH, which from then on can be named.
func (w *walk) with(c *pgquery.WithClause) {
	if c == nil {
		return
	}
	for _, n := range c.Ctes {
		if q := n.GetCommonTableExpr(); q != nil && c.Recursive {
			w.queries = append(w.queries, q.Ctename)
		}
	}
	for _, n := range c.Ctes {
		w.message(n.ProtoReflect())
		if q := n.GetCommonTableExpr(); q != nil && !c.Recursive {
			w.queries = append(w.queries, q.Ctename)
		}
	}
}

func (w *walk) relation(r *pgquery.RangeVar) {
	if r.Schemaname == "" && slices.Contains(w.queries, r.Relname) {
		return
	}
	w.unsafe = w.unsafe || atPrimary(r.Schemaname)
	w.need(Relation, r.Relname)
}

// name takes the name of a thing of this kind, with its schema if that is said.
func (w *walk) name(kind Kind, parts []*pgquery.Node) {
	if len(parts) == 0 {
		w.unsafe = true
		return
	}
	last := len(parts) - 1
	for _, schema := range parts[:last] {
		s := schema.GetString_().GetSval()
		w.unsafe = w.unsafe || atPrimary(s) || kind == Operator && s != "pg_catalog"
	}
	w.need(kind, parts[last].GetString_().GetSval())
}

func (w *walk) need(kind Kind, name string) {
	// As a window function last_value is another thing than what sequences have.
	if atPrimary(name) && (kind != Function || name != "last_value") || kind == Function && calledNames[name] {
		w.unsafe = true
		return
	}
	w.names[Name{kind, name}] = true
}

// implied takes operators that are used without being written.
func (w *walk) implied(used bool, operators ...string) {
	for _, o := range operators {
		if used {
			w.need(Operator, o)
		}
	}
}

func (w *walk) operator(e *pgquery.A_Expr) {
	switch e.Kind {
	case pgquery.A_Expr_Kind_AEXPR_BETWEEN, pgquery.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pgquery.A_Expr_Kind_AEXPR_BETWEEN_SYM, pgquery.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		w.implied(true, "<", "<=", ">", ">=")
	default:
		w.name(Operator, e.Name)
	}
}

func (w *walk) subLink(s *pgquery.SubLink) {
	if len(s.OperName) > 0 {
		w.name(Operator, s.OperName)
	}
	w.implied(s.Testexpr != nil && len(s.OperName) == 0, "=") // IN
}

// column takes the name of a column. Behind a dot it may be the call of a function.
func (w *walk) column(parts []*pgquery.Node) {
	if len(parts) > 0 && atPrimary(parts[0].GetString_().GetSval()) {
		w.unsafe = true
		return
	}
	if len(parts) > 1 {
		w.fields(parts[1:])
	}
}

func (w *walk) fields(parts []*pgquery.Node) {
	for _, p := range parts {
		s := p.GetString_()
		switch {
		case s == nil: // a star or an index
		case atPrimary(s.Sval):
			w.unsafe = true
		default:
			w.columns[s.Sval] = true
		}
	}
}
