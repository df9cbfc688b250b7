%% The OTP side of otp_conformance.rs: plays scenarios with OTP's supervisor, and prints what happens.
-module(conformance).
-export([main/1, init/1, start_child/4, child/4]).

main([File]) ->
    ok = logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, Scenarios} = file:consult(File),
    lists:foreach(fun play/1, Scenarios),
    halt(0).

play({scenario, N, Flags, Children, Fates, Ops}) ->
    io:format("# ~p~n", [N]),
    Parent = self(),
    World = spawn_link(fun() -> world(Parent, list_to_tuple(Fates), 0, #{}) end),
    case supervisor:start_link(?MODULE, {World, Flags, Children}) of
        {ok, Sup} ->
            Ref = monitor(process, Sup),
            Kind = element(1, Flags),
            play_ops(Ops, {Sup, Ref, World, Kind});
        {error, {shutdown, {failed_to_start_child, Id, Reason}}} ->
            say("start failed ~s: ~s", [Id, reason(Reason)]);
        {error, {start_spec, _}} ->
            say("impossible", []);
        Other ->
            say("start ~p", [Other])
    end,
    unlink(World),
    exit(World, kill),
    flush().

flush() ->
    receive {'EXIT', _, _} -> flush() after 0 -> ok end.

play_ops([], {Sup, Ref, World, Kind}) ->
    say("> stop", []),
    ask(World, {hold, Kind =:= simple_one_for_one}),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, process, Sup, Reason} -> ok end,
    ask(World, release),
    say("down ~s", [reason(Reason)]);
play_ops([Op | Ops], {Sup, Ref, World, Kind} = Env) ->
    say("> ~p", [Op]),
    ask(World, {hold, Kind =:= simple_one_for_one}),
    Result = try do(Op, Env) catch exit:_ -> "down" end,
    case settle(Sup) of
        alive ->
            ask(World, release),
            say("= ~s", [Result]),
            play_ops(Ops, Env);
        dead ->
            receive {'DOWN', Ref, process, Sup, Reason} -> ok end,
            ask(World, release),
            say("= ~s", [Result]),
            say("down ~s", [reason(Reason)])
    end.

%% Waits until no child is being restarted, or is dead without the supervisor knowing.
settle(Sup) ->
    case catch supervisor:which_children(Sup) of
        {'EXIT', _} -> dead;
        List ->
            case lists:any(fun({_, P, _, _}) -> unsettled(P) end, List) of
                true -> erlang:yield(), settle(Sup);
                false -> alive
            end
    end.

unsettled(restarting) -> true;
unsettled(undefined) -> false;
unsettled(Pid) -> not is_process_alive(Pid).

do({exit, Label, Reason}, {Sup, _, World, _}) ->
    case ask(World, {find, Label}) of
        none -> "nobody";
        Pid ->
            Ref = monitor(process, Pid),
            case Reason of
                kill -> exit(Pid, kill);
                _ -> Pid ! {die, Reason}
            end,
            receive {'DOWN', Ref, process, Pid, _} -> ok end,
            _ = settle(Sup),
            "ok"
    end;
do({start, Spec}, {Sup, _, World, simple_one_for_one}) ->
    {Label, _, _, _, _, Trap} = Spec,
    started(supervisor:start_child(Sup, [World, Label, Trap]));
do({start, Spec}, {Sup, _, World, _}) ->
    started(supervisor:start_child(Sup, spec(World, Spec)));
do({terminate, Label}, {Sup, _, World, simple_one_for_one}) ->
    case ask(World, {find, Label}) of
        none -> "nobody";
        Pid -> plain(supervisor:terminate_child(Sup, Pid))
    end;
do({terminate, Label}, {Sup, _, _, _}) -> plain(supervisor:terminate_child(Sup, Label));
do({restart, Label}, {Sup, _, _, _}) -> started(supervisor:restart_child(Sup, Label));
do({delete, Label}, {Sup, _, _, _}) -> plain(supervisor:delete_child(Sup, Label));
do(which, {Sup, _, _, simple_one_for_one}) ->
    io_lib:format("~p", [length(supervisor:which_children(Sup))]);
do(which, {Sup, _, _, _}) ->
    [[atom_to_list(Id), state(P), atom_to_list(Type), $;]
     || {Id, P, Type, _} <- supervisor:which_children(Sup)];
do(count, {Sup, _, _, _}) ->
    Counts = supervisor:count_children(Sup),
    Of = fun(Key) -> proplists:get_value(Key, Counts) end,
    io_lib:format("~p ~p ~p ~p", [Of(specs), Of(active), Of(supervisors), Of(workers)]).

state(undefined) -> " ended ";
state(restarting) -> " restarting ";
state(_) -> " runs ".

started({ok, undefined}) -> "ignored";
started({ok, _}) -> "ok";
started({error, {already_started, _}}) -> "already started";
started({error, already_present}) -> "already present";
started({error, {no, _}}) -> "failed";
started({error, no}) -> "failed";
started({error, {bad_combination, _}}) -> "impossible";
started({error, Error}) -> io_lib:format("~p", [Error]).

plain(ok) -> "ok";
plain({error, Error}) -> io_lib:format("~p", [Error]).

%% The supervisor's callback.
init({World, {Kind, Intensity, Auto}, Children}) ->
    Flags = #{strategy => Kind, intensity => Intensity, period => 3600, auto_shutdown => Auto},
    Specs = case Kind of
        simple_one_for_one ->
            [{_, Restart, Shutdown, _, Type, _} | _] = Children,
            [#{id => any, start => {?MODULE, start_child, [any]}, restart => Restart,
               shutdown => Shutdown, type => Type}];
        _ -> [spec(World, Child) || Child <- Children]
    end,
    {ok, {Flags, Specs}}.

spec(World, {Label, Restart, Shutdown, Significant, Type, Trap}) ->
    #{id => Label, start => {?MODULE, start_child, [any, World, Label, Trap]},
      restart => Restart, shutdown => Shutdown, significant => Significant, type => Type}.

start_child(_, World, Label, Trap) ->
    case ask(World, fate) of
        ok -> proc_lib:start_link(?MODULE, child, [self(), World, Label, Trap]);
        ignore -> log(World, "ignores ~s", [Label]), ignore;
        error -> log(World, "fails ~s", [Label]), {error, no}
    end.

child(Parent, World, Label, Trap) ->
    process_flag(trap_exit, Trap =/= meek),
    log(World, "up ~s", [Label]),
    ask(World, {up, Label, self()}),
    proc_lib:init_ack(Parent, {ok, self()}),
    child_loop(World, Label, Trap).

child_loop(World, Label, Trap) ->
    receive
        {die, Reason} -> child_end(World, Label, Reason);
        {'EXIT', _, _} when Trap =:= stubborn -> child_loop(World, Label, Trap);
        {'EXIT', _, Reason} -> child_end(World, Label, Reason)
    end.

child_end(World, Label, Reason) ->
    log(World, "down ~s: ~s", [Label, reason(Reason)]),
    exit(Reason).

reason({shutdown, X}) -> io_lib:format("shutdown: ~s", [X]);
reason(X) -> atom_to_list(X).

%% Everything that happens goes through one process, which is asked, so that there is one order.
world(Parent, Fates, N, Found) ->
    receive
        {From, Ref, Request} ->
            {Answer, N1, Found1} = serve(Request, Fates, N, Found),
            From ! {Ref, Answer},
            world(Parent, Fates, N1, Found1)
    end.

serve(fate, Fates, N, Found) -> {element(N rem tuple_size(Fates) + 1, Fates), N + 1, Found};
serve({up, Label, Pid}, _, N, Found) -> {ok, N, Found#{Label => Pid}};
serve({find, Label}, _, N, Found) ->
    Pid = maps:get(Label, Found, none),
    case is_pid(Pid) andalso is_process_alive(Pid) of
        true -> {Pid, N, Found};
        false -> {none, N, Found}
    end;
%% Where the order is not specified the lines are kept and sorted.
serve({hold, true}, _, N, Found) -> {ok, N, Found#{held => []}};
serve({hold, false}, _, N, Found) -> {ok, N, Found};
serve({line, Line}, _, N, #{held := Held} = Found) -> {ok, N, Found#{held := [Line | Held]}};
serve({line, Line}, _, N, Found) -> io:format("~s~n", [Line]), {ok, N, Found};
serve(release, _, N, #{held := Held} = Found) ->
    [io:format("~s~n", [Line]) || Line <- lists:sort(Held)],
    {ok, N, maps:remove(held, Found)};
serve(release, _, N, Found) -> {ok, N, Found}.

ask(World, Request) ->
    Ref = make_ref(),
    World ! {self(), Ref, Request},
    receive {Ref, Answer} -> Answer end.

log(World, Format, Args) -> ask(World, {line, lists:flatten(io_lib:format(Format, Args))}).

say(Format, Args) -> io:format(Format ++ "~n", Args).
