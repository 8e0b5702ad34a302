package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func (s *server) audit(api huma.API) {
	huma.Register(api, operation("export-audit", "GET", "/audit", "Export the audit log as JSON lines", admin), s.exportAudit)
}

// exportAudit writes each line as it was hashed, so that the export can be verified by
// itself. One that is cut short ends without HTTP's own end: nobody takes it for whole.
func (s *server) exportAudit(ctx context.Context, in *struct {
	After int64 `query:"after" minimum:"0" doc:"only the lines behind this one"`
	Last  int64 `query:"last" minimum:"0" doc:"only so many, the newest; 0 is all"`
},
) (*huma.StreamResponse, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	newest, err := f.Catalog.LastSeq(ctx)
	if err != nil {
		return nil, s.problem(err)
	}
	after := in.After
	switch {
	case after > newest:
		return nil, huma.Error404NotFound(fmt.Sprintf("the audit log ends with line %d: line %d is not in it", newest, after))
	case in.Last > 0:
		after = max(after, newest-in.Last)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/jsonl")
		for line, err := range f.Catalog.AuditLog(ctx, after) {
			if err != nil {
				s.Log.Error("cannot export the audit log", "error", err)
				panic(http.ErrAbortHandler)
			}
			if line.Export(c.BodyWriter()) != nil {
				return // who asked has gone
			}
		}
	}}, nil
}
