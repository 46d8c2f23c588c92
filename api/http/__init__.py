"""What every route shares: the application, authentication, errors, paging, the socket."""
