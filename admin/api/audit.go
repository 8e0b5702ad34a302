package api

import (
	"context"
	"encoding/hex"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// auditLine is a line of the exported audit log.
type auditLine struct {
	Record json.RawMessage `json:"record"`
	Hash   string          `json:"hash"`             // of the line and the one before it
	Broken bool            `json:"broken,omitempty"` // it is not what was written
}

func (s *server) audit(api huma.API) {
	huma.Register(api, operation("export-audit", "GET", "/audit", "Export the audit log as JSON lines", admin), s.exportAudit)
}

func (s *server) exportAudit(ctx context.Context, in *struct {
	After int64 `query:"after" minimum:"0" doc:"only the lines behind this one"`
},
) (*huma.StreamResponse, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/jsonl")
		out := json.NewEncoder(c.BodyWriter())
		for line, err := range f.Catalog.AuditLog(ctx, in.After) {
			if err != nil {
				s.Log.Error("cannot export the audit log", "error", err)
				return
			}
			if out.Encode(auditLine{line.Text, hex.EncodeToString(line.Hash), line.Broken}) != nil {
				return // who asked has gone
			}
		}
	}}, nil
}
