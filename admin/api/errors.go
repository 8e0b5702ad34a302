package api

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// underWay is where an error says which operation another has to wait for.
const underWay = "operation"

// problem turns an error into an answer.
func (s *server) problem(err error) error {
	var invalid *fleet.InvalidError
	var busy *catalog.BusyError
	var away *fleet.StoreError
	var cluster *fleet.ClusterError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		detail := &huma.ErrorDetail{Message: invalid.Reason.Error()}
		if invalid.Field != "" {
			detail.Location = "body." + invalid.Field
		}
		return huma.Error422UnprocessableEntity(invalid.Error(), detail)
	case errors.As(err, &busy):
		return huma.Error409Conflict(busy.Error(), &huma.ErrorDetail{Message: "operation under way", Location: underWay, Value: busy.Operation})
	case errors.As(err, &away):
		return huma.NewError(http.StatusServiceUnavailable, away.Error())
	case errors.Is(err, catalog.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, catalog.ErrExists), errors.Is(err, fleet.ErrFile):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, catalog.ErrChanged):
		return huma.Error412PreconditionFailed(err.Error())
	case errors.Is(err, catalog.ErrReview):
		return huma.NewError(http.StatusServiceUnavailable, err.Error())
	case noText(err):
		return huma.Error422UnprocessableEntity("what was sent has a NUL character, or is no UTF-8: the catalog cannot hold that")
	}
	s.Log.Error("request failed", "error", err)
	switch {
	case errors.As(err, &cluster):
		return huma.NewError(http.StatusBadGateway, cluster.Told())
	case s.catalogAway(err):
		return huma.NewError(http.StatusServiceUnavailable, "the catalog is away: tenants are served as before, and nothing can be looked up in it or changed")
	}
	return huma.Error500InternalServerError("it failed; the log says why")
}

// catalogAway reports whether the catalog could not be reached.
func (s *server) catalogAway(err error) bool {
	f, none := s.Fleet()
	return none == nil && f.Catalog.IsAway(err)
}

// noText reports whether the catalog's PostgreSQL has refused what is no text to it.
func noText(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "22021" || pg.Code == "22P05")
}

// withoutValues leaves out of an error what was sent, which may be a secret: answers are
// logged by those who get them. What operation is under way stays.
func withoutValues(_ huma.Context, _ string, answer any) (any, error) {
	if model, ok := answer.(*huma.ErrorModel); ok {
		for _, detail := range model.Errors {
			if detail.Location != underWay {
				detail.Value = nil
			}
		}
	}
	return answer, nil
}
