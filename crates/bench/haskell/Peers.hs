{-# LANGUAGE BangPatterns #-}

-- | The transactions of weftwork-bench on GHC: @hspeers BENCH [--n N] [--workers W] [--vars K] ...@.
--
-- Names, flags and the JSON line are those of weftwork-bench; @--workers@ sets the capabilities.
-- Every run checks its own result and fails when it is wrong.
module Main (main) where

import Control.Concurrent
import Control.Concurrent.STM hiding (check)
import Control.Monad
import Data.Array (listArray, (!))
import Data.Bits
import Data.IORef
import Data.List (isPrefixOf)
import Data.Word
import GHC.Clock (getMonotonicTimeNSec)
import System.Environment (getArgs)
import System.Exit
import System.IO
import System.Mem (performGC)
import Text.Printf

main :: IO ()
main = do
  arguments <- getArgs
  case arguments of
    bench : rest | Just run <- lookup bench benches -> do
      let flags = Flags bench (pairs rest)
      setNumCapabilities (number flags "workers" 1)
      run flags
    _ -> hPutStrLn stderr ("no such bench: " ++ unwords arguments) >> exitWith (ExitFailure 2)
  where
    benches =
      [ ("stm_counter", counter),
        ("stm_read", reads'),
        ("stm_bank", bank),
        ("stm_hot", hot),
        ("stm_long_reader", longReader),
        ("stm_wake", wake)
      ]

-- | The bench, and the flags behind it.
data Flags = Flags String [(String, String)]

pairs :: [String] -> [(String, String)]
pairs (name : value : rest) | "--" `isPrefixOf` name = (drop 2 name, value) : pairs rest
pairs [] = []
pairs rest = error ("not a flag and its value: " ++ unwords rest)

-- | The value of a flag; a suffix k or m multiplies.
number :: Flags -> String -> Int -> Int
number (Flags _ values) name otherwise' = maybe otherwise' parse (lookup name values)
  where
    parse text = case last text of
      'k' -> 1000 * read (init text)
      'm' -> 1000000 * read (init text)
      _ -> read text

-- | Prints the line of so many operations that took so many nanoseconds; of none, without a time.
report :: Flags -> Int -> Int -> Word64 -> [(String, Double)] -> IO ()
report flags@(Flags bench _) n ops ns more = do
  peak <- peakRssKib
  printf "{\"bench\":\"%s\",\"peer\":\"ghc\",\"lang\":\"haskell\"" bench
  printf ",\"workers\":%d,\"n\":%d" (number flags "workers" 1) n
  when (ops > 0) $ do
    let each = fromIntegral ns / fromIntegral ops :: Double
    printf ",\"ns_per_op\":%.4f,\"ops_per_s\":%.4f" each (1e9 / each)
  forM_ more $ \(key, value) -> printf ",\"%s\":%.4f" key value
  printf ",\"peak_rss_mib\":%.1f}\n" (peak / 1024)

peakRssKib :: IO Double
peakRssKib = do
  status <- readFile "/proc/self/status"
  return (head ([read kib | line <- lines status, ["VmHWM:", kib, _] <- [words line]] ++ [0]))

check :: Bool -> String -> IO ()
check right what =
  unless right $ hPutStrLn stderr ("wrong result: " ++ what) >> exitWith (ExitFailure 1)

now :: IO Word64
now = getMonotonicTimeNSec

-- | Runs the parts at the same time, each on a capability of its own, from when all are there.
-- The time is that from the first start to the last end, which the parts read themselves.
together :: Int -> (Int -> IO a) -> IO (Word64, [a])
together threads body = do
  performGC
  met <- newTVarIO (0 :: Int)
  parts <- forM [0 .. threads - 1] $ \index -> do
    result <- newEmptyMVar
    _ <- forkOn index $ do
      atomically (modifyTVar' met (+ 1))
      atomically (readTVar met >>= \here -> unless (here == threads) retry)
      start <- now
      value <- body index
      end <- now
      putMVar result (start, end, value)
    return result
  results <- mapM takeMVar parts
  let start = minimum [s | (s, _, _) <- results]
      end = maximum [e | (_, e, _) <- results]
  return (end - start, [value | (_, _, value) <- results])

-- | Cuts transactions into equal shares: a share, and the sum of all.
shares :: Int -> Int -> (Int, Int)
shares n threads = let each = (n + threads - 1) `div` threads in (each, each * threads)

addOne :: TVar Int -> IO ()
addOne var = atomically (modifyTVar' var (+ 1))

sumOf :: [TVar Int] -> IO Int
sumOf vars = atomically (foldM (\ !sofar var -> (sofar +) <$> readTVar var) 0 vars)

transfer :: TVar Int -> TVar Int -> IO ()
transfer from to = atomically $ do
  left <- readTVar from
  there <- readTVar to
  when (left > 0) $ do
    writeTVar from $! left - 1
    writeTVar to $! there + 1

-- | Numbers at random: a state, and a number below a bound that is made of it.
newtype Random = Random Word64

ofThread :: Int -> Random
ofThread index = Random (0x9E3779B97F4A7C15 `xor` (fromIntegral (index + 1) * 0xD1342543DE82EF95))

below :: Random -> Int -> (Int, Random)
below (Random state) bound = (fromIntegral (((c `shiftR` 32) * fromIntegral bound) `shiftR` 32), Random c)
  where
    a = state `xor` (state `shiftL` 13)
    b = a `xor` (a `shiftR` 7)
    c = b `xor` (b `shiftL` 17)

-- | Two different numbers below a bound.
pairBelow :: Random -> Int -> (Int, Int, Random)
pairBelow random bound = (first, if second >= first then second + 1 else second, after)
  where
    (first, between) = below random bound
    (second, after) = below between (bound - 1)

-- | Threads add to one variable.
counter :: Flags -> IO ()
counter flags = do
  let (each, total) = shares (number flags "n" 1000000) threads
      threads = number flags "workers" 1
  var <- newTVarIO 0
  (ns, _) <- together threads $ \_ -> replicateM_ each (addOne var)
  value <- readTVarIO var
  check (value == total) "every increment counts"
  report flags total total ns []

-- | Threads read all of some variables, and nobody writes.
reads' :: Flags -> IO ()
reads' flags = do
  let (each, total) = shares (number flags "n" 200000) threads
      threads = number flags "workers" 1
      count = number flags "vars" 64
  vars <- mapM newTVarIO [0 .. count - 1]
  (ns, _) <- together threads $ \_ -> replicateM_ each $ do
    value <- sumOf vars
    check (value == count * (count - 1) `div` 2) "nobody writes"
  report flags total total ns [("vars", fromIntegral count)]

-- | Threads move money between two accounts at random; some transactions read all accounts.
bank :: Flags -> IO ()
bank flags = do
  let (each, total) = shares (number flags "n" 1000000) threads
      threads = number flags "workers" 1
      audits = number flags "audits" 1
  accounts <- replicateM 1024 (newTVarIO 1000)
  let at = (listArray (0, 1023) accounts !)
      go :: Int -> Random -> IO ()
      go 0 _ = return ()
      go left random
        | audits > 0 && drawn < audits = do
          value <- sumOf accounts
          check (value == 1024 * 1000) "an audit sees one moment"
          go (left - 1) between
        | otherwise = do
          let (from, to, after) = pairBelow (if audits > 0 then between else random) 1024
          transfer (at from) (at to)
          go (left - 1) after
        where
          (drawn, between) = below random 100
  (ns, _) <- together threads (go each . ofThread)
  value <- sumOf accounts
  check (value == 1024 * 1000) "transfers keep the sum"
  report flags total total ns [("audits_pct", fromIntegral audits)]

-- | Threads add to one variable and are compared with one thread that does; then each is timed.
hot :: Flags -> IO ()
hot flags = do
  let (each, total) = shares (number flags "n" 1000000) threads
      (eachTimed, timed) = shares (total `div` 4) threads
      threads = number flags "workers" 1
  var <- newTVarIO 0
  (alone, _) <- together 1 $ \_ -> replicateM_ total (addOne var)
  (ns, _) <- together threads $ \_ -> replicateM_ each (addOne var)
  let go :: Int -> Word64 -> Word64 -> IO Word64
      go 0 _ worst = return worst
      go left before !worst = do
        addOne var
        after <- now
        go (left - 1) after (max worst (after - before))
  (_, worst) <- together threads $ \_ -> now >>= \start -> go eachTimed start 0
  value <- readTVarIO var
  check (value == 2 * total + timed) "every increment counts"
  let aloneNs = fromIntegral alone :: Double
  report flags total total ns
    [ ("alone_ns_per_op", aloneNs / fromIntegral total),
      ("times_alone", fromIntegral ns / aloneNs),
      ("worst_us", fromIntegral (maximum worst) / 1000)
    ]

-- | One thread reads many variables at once while another moves between them without a pause.
-- The writer gives up after --span-ms; a read that finishes only then counts as starved.
longReader :: Flags -> IO ()
longReader flags = do
  let count = 50000
      tries = number flags "n" 100
      span' = fromIntegral (number flags "span-ms" 1000) * 1000000
      readAll vars = sumOf vars >>= \value -> check (value == count * 1000) "it sees one moment"
  vars <- replicateM count (newTVarIO 1000)
  let at = (listArray (0, count - 1) vars !)
  aloneFrom <- now
  readAll vars
  aloneTo <- now
  gaveUp <- newIORef False
  isDone <- newIORef False
  let reader start finished longest begin
        | finished == tries = stop
        | otherwise = do
          readAll vars
          late <- readIORef gaveUp
          end <- now
          if late then stop else reader start (finished + 1) (max longest (end - begin)) end
        where
          stop = writeIORef isDone True >> now >>= \end -> return (finished, longest, end - start)
      writer start random !writes = do
        done <- readIORef isDone
        time <- now
        if done || time - start >= span'
          then writeIORef gaveUp True >> return (writes, 0, 0)
          else do
            after <- sixtyFour (64 :: Int) random
            writer start after (writes + 64)
      sixtyFour 0 random = return random
      sixtyFour left random = do
        let (from, to, after) = pairBelow random count
        transfer (at from) (at to)
        sixtyFour (left - 1) after
  (_, results) <- together 2 $ \index -> do
    start <- now
    if index == 0 then reader start 0 0 start else writer start (ofThread 1) (0 :: Int)
  let (finished, longest, elapsed) = head results
      (writes, _, _) = results !! 1
      ms ns = fromIntegral (ns :: Word64) / 1e6 :: Double
  report flags tries finished elapsed $
    [("longest_ms", ms longest) | finished > 0]
      ++ [ ("alone_ms", ms (aloneTo - aloneFrom)),
           ("starved_pct", fromIntegral (tries - finished) * 100 / fromIntegral tries),
           ("writer_ns_per_op", fromIntegral elapsed / fromIntegral (max 1 writes))
         ]

-- | A thousand wait for a variable of their own. That nobody else wakes is not looked at: what a
-- transaction does while it waits cannot be counted.
wake :: Flags -> IO ()
wake flags = do
  let waiters = 1000
      rounds = (number flags "n" 100000 + waiters - 1) `div` waiters
      reach :: TVar Int -> Int -> IO ()
      reach var value = atomically (readTVar var >>= \there -> unless (there >= value) retry)
  bells <- replicateM waiters (newTVarIO 0)
  allAwake <- newTVarIO 0
  awake <- newIORef (0 :: Int)
  started <- newIORef (0 :: Int)
  forM_ bells $ \bell -> forkIO $ do
    atomicModifyIORef' started (\there -> (there + 1, ()))
    forM_ [1 .. rounds] $ \turn -> do
      reach bell turn
      there <- atomicModifyIORef' awake (\there -> (there + 1, there + 1))
      when (there == turn * waiters) (atomically (writeTVar allAwake turn))
  let settle = readIORef started >>= \there -> when (there < waiters) (threadDelay 1000 >> settle)
  settle
  threadDelay 300000
  start <- now
  forM_ [1 .. rounds] $ \turn -> do
    forM_ bells $ \bell -> atomically (writeTVar bell turn)
    reach allAwake turn
  end <- now
  report flags (rounds * waiters) (rounds * waiters) (end - start) []
