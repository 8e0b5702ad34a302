package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"howdah/tenants/catalog"
)

// ByID is a path with the id of a job in it.
type ByID struct {
	ID string `path:"id" format:"uuid"`
}

func (s *server) operations(api huma.API) {
	huma.Register(api, operation("list-jobs", "GET", "/jobs", "List jobs, the newest first", viewer), s.listOperations)
	huma.Register(api, operation("get-job", "GET", "/jobs/{id}", "Show a job", viewer), s.getOperation)
	huma.Register(api, operation("cancel-job", "POST", "/jobs/{id}/cancel", "Have a job undone", operator), s.steer(true))
	huma.Register(api, operation("resume-job", "POST", "/jobs/{id}/resume", "Have a job go on that waits for an operator", operator), s.steer(false))
	huma.Register(api, operation("end-review", "POST", "/review/end", "Go by the catalog again, which was put back to an earlier time", admin), s.endReview)
	sse.Register(api, operation("watch-job", "GET", "/jobs/{id}/events", "Follow a job until it has ended", viewer), map[string]any{"operation": catalog.Operation{}}, s.watchOperation)
}

func (s *server) listOperations(ctx context.Context, in *struct {
	Tenant string `query:"tenant"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
},
) (*struct{ Body []catalog.Operation }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	all, err := f.Catalog.Operations(ctx, in.Tenant, in.Limit)
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body []catalog.Operation }{append([]catalog.Operation{}, all...)}, nil
}

func (s *server) getOperation(ctx context.Context, in *ByID) (*struct{ Body *catalog.Operation }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	o, err := f.Catalog.Operation(ctx, in.ID)
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body *catalog.Operation }{o}, nil
}

// endReview is an operator's word that what the catalog says has been looked at.
func (s *server) endReview(ctx context.Context, _ *struct{}) (*struct{}, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	return nil, s.problem(f.Catalog.EndReview(ctx, actor(ctx)))
}

func (s *server) steer(cancel bool) func(context.Context, *ByID) (*struct{ Body *catalog.Operation }, error) {
	return func(ctx context.Context, in *ByID) (*struct{ Body *catalog.Operation }, error) {
		f, err := s.fleet()
		if err != nil {
			return nil, err
		}
		do := f.ResumeOperation
		if cancel {
			do = f.CancelOperation
		}
		o, err := f.Catalog.Operation(ctx, in.ID)
		if err != nil {
			return nil, s.problem(err)
		}
		if adminsOnly(o.Kind) && !isAdmin(ctx) {
			return nil, huma.Error403Forbidden("only an admin may begin a " + o.Kind + ", and cancel or resume it")
		}
		if err := do(ctx, actor(ctx), in.ID); err != nil {
			return nil, s.problem(err)
		}
		return s.getOperation(ctx, in)
	}
}

// adminsOnly reports whether only admins may begin an operation of this kind.
func adminsOnly(kind string) bool {
	switch kind {
	case "drop", "undrop", "purge", "rotate", "import", "clone", "restore", "unrestore":
		return true
	}
	return false
}

// watchPause is between two looks at an operation that is followed.
const watchPause = 100 * time.Millisecond

// watchOperation tells an operation whenever it has changed.
func (s *server) watchOperation(ctx context.Context, in *ByID, send sse.Sender) {
	last := ""
	for {
		f, err := s.fleet()
		if err != nil {
			return
		}
		o, err := f.Catalog.Operation(ctx, in.ID)
		if err != nil {
			return
		}
		if now := string(o.State) + o.Step + o.Error + time.Duration(o.Done).String(); now != last {
			if send.Data(*o) != nil {
				return
			}
			last = now
		}
		if o.State.Ended() {
			return
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return
		}
	}
}
