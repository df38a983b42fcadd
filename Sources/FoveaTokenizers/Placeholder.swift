public import FoveaCore
