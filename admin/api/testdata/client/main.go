// Command client creates a tenant with a client that was generated from Howdah's OpenAPI
// document: its arguments are Howdah's URL, a token and the tenant's name. It prints the
// tenant's password once its job is done.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
)

func main() {
	if err := create(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func create(ctx context.Context, url, token, name string) error {
	c, err := NewClientWithResponses(url, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	made, err := c.CreateTenantWithResponse(ctx, nil, CreateTenantJSONRequestBody{Name: name})
	if err != nil {
		return err
	}
	if made.JSON202 == nil {
		return fmt.Errorf("create: %s: %s", made.Status(), made.Body)
	}
	id, err := uuid.Parse(made.JSON202.Operation.Id)
	if err != nil {
		return err
	}
	for ; ; time.Sleep(100 * time.Millisecond) {
		job, err := c.GetJobWithResponse(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case job.JSON200 == nil:
			return fmt.Errorf("job: %s: %s", job.Status(), job.Body)
		case job.JSON200.State == "done":
			fmt.Println(*made.JSON202.Password)
			return nil
		case job.JSON200.Error != nil:
			return fmt.Errorf("job: %s", *job.JSON200.Error)
		}
	}
}
