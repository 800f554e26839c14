/** Rounds of virtual clients: the service's own rounds, sums and noise, without sockets. */

export {};
