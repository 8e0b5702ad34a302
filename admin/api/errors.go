package api

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// problem turns an error into an answer.
func (s *server) problem(err error) error {
	var invalid *fleet.InvalidError
	var busy *catalog.BusyError
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
		return huma.Error409Conflict(busy.Error(), &huma.ErrorDetail{Message: "operation under way", Location: "operation", Value: busy.Operation})
	case errors.Is(err, catalog.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, catalog.ErrExists), errors.Is(err, fleet.ErrFile):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, catalog.ErrChanged):
		return huma.Error412PreconditionFailed(err.Error())
	case errors.Is(err, catalog.ErrReview):
		return huma.NewError(http.StatusServiceUnavailable, err.Error())
	}
	s.Log.Error("request failed", "error", err)
	return huma.Error500InternalServerError("it failed; the log says why")
}
