"""What engine, service and worker say to each other; pydantic and the standard library only.

Words: *domain* one dataset whose share is learned; *alpha* the mixture ratio per domain, a point
on the simplex; *proxy* the paper's u, *reference* its w; *delta* the hyper-gradient; *penalty*
gamma; *probing steps* K, *free steps* E; *episode* t, one update of alpha. Losses are in nats per
token, sizes in tokens or bytes and say which.
"""
