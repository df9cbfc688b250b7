%% The actors of weftwork-bench on Erlang: `erl -noshell -s erlpeers main -extra BENCH [--n N]
%% [--workers W] [--peer erlang|erlang-raw]`.
%%
%% Names, flags and the JSON line are those of weftwork-bench; --workers sets the schedulers online.
%% The peer `erlang` is OTP's gen_server, `erlang-raw` a process with a receive. Every run checks its
%% own result and fails when it is wrong.
-module(erlpeers).
-behaviour(gen_server).

-export([main/0]).
-export([init/1, handle_call/3, handle_cast/2]).
-export([start_child/1, raw/1, in_ring/0]).

-define(BATCH, 1000).
-define(NODES, 503).
-define(SENDERS, 4).

main() ->
    {Bench, Flags} = flags(init:get_plain_arguments(), none, #{}),
    erlang:system_flag(schedulers_online, number("workers", Flags, 1)),
    {Driver, Monitor} = spawn_monitor(fun() -> run(Bench, Flags) end),
    receive
        {'DOWN', Monitor, process, Driver, normal} -> halt(0);
        {'DOWN', Monitor, process, Driver, Reason} ->
            io:format(standard_error, "~0p~n", [Reason]),
            halt(1)
    end.

flags(["--" ++ Name, Value | Rest], Bench, Flags) -> flags(Rest, Bench, Flags#{Name => Value});
flags([Bench | Rest], none, Flags) -> flags(Rest, Bench, Flags);
flags([], Bench, Flags) -> {Bench, Flags}.

%% The value of a flag; a suffix k or m multiplies.
number(Name, Flags, Otherwise) ->
    case Flags of
        #{Name := Text} ->
            case lists:last(Text) of
                $k -> list_to_integer(lists:droplast(Text)) * 1000;
                $m -> list_to_integer(lists:droplast(Text)) * 1000000;
                _ -> list_to_integer(Text)
            end;
        _ -> Otherwise
    end.

peer(Flags) -> maps:get("peer", Flags, "erlang").

%% Prints the line of N operations, that took so many nanoseconds where time is measured.
report(Bench, Flags, N, Figures) ->
    io:format("{\"bench\":\"~s\",\"peer\":\"~s\",\"lang\":\"erlang\",\"workers\":~b,\"n\":~b",
        [Bench, peer(Flags), number("workers", Flags, 1), N]),
    [io:format(",\"~s\":~.4f", [Key, float(Value)]) || {Key, Value} <- Figures],
    io:format(",\"peak_rss_mib\":~.1f}~n", [status_kib("VmHWM:") / 1024]).

timed(N, Nanoseconds) ->
    [{"ns_per_op", Nanoseconds / N}, {"ops_per_s", N * 1.0e9 / Nanoseconds}].

status_kib(Name) ->
    {ok, Status} = file:read_file("/proc/self/status"),
    Lines = string:split(binary_to_list(Status), "\n", all),
    [Line] = [Line || Line <- Lines, lists:prefix(Name, Line)],
    [_, Number | _] = string:lexemes(Line, " \t"),
    list_to_integer(Number).

footprint_kib() -> status_kib("VmRSS:") + status_kib("VmPTE:").

now_ns() -> erlang:monotonic_time(nanosecond).

%% The counter: told to add, asked for its number, stopped.

init(number) -> {ok, 0};
init({child, _} = State) -> {ok, State};
init({supervisor, Driver}) ->
    Rules = #{strategy => one_for_one, intensity => 1000000, period => 1},
    {ok, {Rules, [#{id => child, start => {?MODULE, start_child, [Driver]}}]}}.

handle_call(get, _From, Number) -> {reply, Number, Number}.

handle_cast({add, More}, Number) -> {noreply, Number + More};
handle_cast(crash, {child, Driver}) ->
    Driver ! {crashed, now_ns()},
    exit(crash);
handle_cast(stop, Number) -> {stop, normal, Number}.

raw(Number) ->
    receive
        {add, More} -> raw(Number + More);
        {get, From, Reference} ->
            From ! {Reference, Number},
            raw(Number);
        stop -> ok
    end.

start("erlang") ->
    {ok, Counter} = gen_server:start(?MODULE, number, []),
    Counter;
start("erlang-raw") -> spawn(?MODULE, raw, [0]).

get("erlang", Counter) -> gen_server:call(Counter, get, infinity);
get("erlang-raw", Counter) ->
    Reference = monitor(process, Counter),
    Counter ! {get, self(), Reference},
    receive
        {Reference, Number} ->
            demonitor(Reference, [flush]),
            Number
    end.

add("erlang", Counter, 0) -> Counter;
add("erlang", Counter, Times) ->
    gen_server:cast(Counter, {add, 1}),
    add("erlang", Counter, Times - 1);
add("erlang-raw", Counter, 0) -> Counter;
add("erlang-raw", Counter, Times) ->
    Counter ! {add, 1},
    add("erlang-raw", Counter, Times - 1).

stop("erlang", Counter) -> gen_server:cast(Counter, stop);
stop("erlang-raw", Counter) -> Counter ! stop.

stop_all(Peer, Counters) ->
    Monitors = [monitor(process, Counter) || Counter <- Counters],
    [stop(Peer, Counter) || Counter <- Counters],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || Monitor <- Monitors].

%% The benches.

run("actor_tell" = Bench, Flags) -> tell(Bench, Flags, 1);
run("actor_fanin" = Bench, Flags) -> tell(Bench, Flags, ?SENDERS);
run("actor_ask" = Bench, Flags) ->
    {N, Peer} = {number("n", Flags, 500000), peer(Flags)},
    Counter = start(Peer),
    add(Peer, Counter, 1),
    Start = now_ns(),
    ask(Peer, Counter, N),
    report(Bench, Flags, N, timed(N, now_ns() - Start));
run("actor_spawn" = Bench, Flags) ->
    {N, Peer} = {number("n", Flags, 200000), peer(Flags)},
    Start = now_ns(),
    start_and_stop(Peer, N),
    report(Bench, Flags, N, timed(N, now_ns() - Start));
run("actor_mem" = Bench, Flags) ->
    {N, Peer} = {number("n", Flags, 200000), peer(Flags)},
    Before = footprint_kib(),
    Start = now_ns(),
    Counters = [start(Peer) || _ <- lists:seq(1, N)],
    [0 = get(Peer, Counter) || Counter <- Counters],
    Elapsed = now_ns() - Start,
    timer:sleep(300),
    Kib = footprint_kib() - Before,
    stop_all(Peer, Counters),
    report(Bench, Flags, N, timed(N, Elapsed) ++ [{"bytes_per_actor", Kib * 1024 / N}]);
run("ring" = Bench, Flags) ->
    N = number("n", Flags, 1000000),
    [First | Rest] = Nodes = [spawn(?MODULE, in_ring, []) || _ <- lists:seq(1, ?NODES)],
    [Node ! {next, Next, self()} || {Node, Next} <- lists:zip(Nodes, Rest ++ [First])],
    Start = now_ns(),
    First ! N,
    receive done -> ok end,
    report(Bench, Flags, N, timed(N, now_ns() - Start));
run("actor_restart" = Bench, Flags) ->
    N = number("n", Flags, 1000),
    %% Else every crash would be printed.
    logger:set_primary_config(level, none),
    {ok, _} = supervisor:start_link(?MODULE, {supervisor, self()}),
    Took = list_to_tuple(lists:sort([crash() || _ <- lists:seq(1, N)])),
    Quantile = fun(Q) -> element(min(N, trunc(N * Q) + 1), Took) / 1000 end,
    report(Bench, Flags, N, [{"p50_us", Quantile(0.5)}, {"p99_us", Quantile(0.99)}]).

tell(Bench, Flags, Senders) ->
    {Wanted, Peer, Driver} = {number("n", Flags, 5000000), peer(Flags), self()},
    Each = (Wanted + Senders - 1) div Senders,
    Total = Each * Senders,
    Counter = start(Peer),
    0 = get(Peer, Counter),
    Start = now_ns(),
    [spawn(fun() -> add(Peer, Counter, Each), Driver ! sent end) || _ <- lists:seq(1, Senders)],
    [receive sent -> ok end || _ <- lists:seq(1, Senders)],
    Total = get(Peer, Counter),
    report(Bench, Flags, Total, timed(Total, now_ns() - Start)).

ask(_, _, 0) -> ok;
ask(Peer, Counter, Times) ->
    1 = get(Peer, Counter),
    ask(Peer, Counter, Times - 1).

start_and_stop(_, 0) -> ok;
start_and_stop(Peer, Left) ->
    Batch = min(Left, ?BATCH),
    stop_all(Peer, [start(Peer) || _ <- lists:seq(1, Batch)]),
    start_and_stop(Peer, Left - Batch).

in_ring() -> receive {next, Next, Driver} -> in_ring(Next, Driver) end.

in_ring(Next, Driver) ->
    receive
        0 ->
            Driver ! done,
            in_ring(Next, Driver);
        Number ->
            Next ! Number - 1,
            in_ring(Next, Driver)
    end.

%% Called in the supervisor, for each incarnation.
start_child(Driver) ->
    {ok, Child} = gen_server:start_link(?MODULE, {child, Driver}, []),
    Driver ! {ready, Child, now_ns()},
    {ok, Child}.

%% Has the present incarnation crash, and waits for the next; returns how long that took.
crash() ->
    Child = receive {ready, First, _} -> First end,
    gen_server:cast(Child, crash),
    Crashed = receive {crashed, Then} -> Then end,
    receive
        {ready, _, Ready} = Message ->
            %% It is the one that crashes next.
            self() ! Message,
            Ready - Crashed
    end.
